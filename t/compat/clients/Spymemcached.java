// spymemcached with its text protocol, which is the default, and with the binary one. Arguments: host:port of each server.

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import net.spy.memcached.AddrUtil;
import net.spy.memcached.BinaryConnectionFactory;
import net.spy.memcached.CASResponse;
import net.spy.memcached.CASValue;
import net.spy.memcached.ConnectionFactory;
import net.spy.memcached.DefaultConnectionFactory;
import net.spy.memcached.MemcachedClient;

public class Spymemcached {
    private static int failures = 0;

    interface Body {
        void run() throws Exception;
    }

    static void check(String name, Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable error) {
            failures++;
            System.out.println("not ok " + name + ": " + error);
        }
    }

    static void equal(Object found, Object wanted) {
        if (found == null ? wanted != null : !found.equals(wanted)) {
            throw new IllegalStateException("found " + found + ", wanted " + wanted);
        }
    }

    // Polls, because only the server's clock knows when a second is over.
    static void waitUntil(Callable<Boolean> fact) throws Exception {
        long end = System.nanoTime() + 8_000_000_000L;
        while (!fact.call()) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("not within 8 s");
            }
            Thread.sleep(50);
        }
    }

    static void checks(String protocol, ConnectionFactory factory, List<String> servers) throws Exception {
        MemcachedClient client = new MemcachedClient(factory, AddrUtil.getAddresses(servers));
        check(protocol + ": set, get, missing, delete", () -> {
            equal(client.set("colour", 0, "blue").get(), true);
            equal(client.get("colour"), "blue");
            equal(client.get("nothing"), null);
            equal(client.delete("colour").get(), true);
            equal(client.delete("colour").get(), false);
        });
        check(protocol + ": add, replace, append, prepend", () -> {
            equal(client.add("once", 0, "-").get(), true);
            equal(client.add("once", 0, "x").get(), false);
            equal(client.replace("nothing", 0, "x").get(), false);
            equal(client.append("once", "right").get(), true);
            equal(client.prepend("once", "left").get(), true);
            equal(client.get("once"), "left-right");
        });
        check(protocol + ": incr and decr with an initial value", () -> {
            equal(client.incr("n", 5, 10L), 10L);
            equal(client.incr("n", 5), 15L);
            equal(client.decr("n", 20), 0L);
            equal(client.incr("absent", 1), -1L);
        });
        check(protocol + ": gets and cas: stored, then stale", () -> {
            client.set("token", 0, "one").get();
            CASValue<Object> token = client.gets("token");
            equal(client.cas("token", token.getCas(), "two"), CASResponse.OK);
            equal(client.cas("token", token.getCas(), "three"), CASResponse.EXISTS);
            equal(client.cas("nothing", token.getCas(), "x"), CASResponse.NOT_FOUND);
        });
        check(protocol + ": 600 keys over all servers, half of them missing", () -> {
            Map<String, Object> wanted = new HashMap<>();
            String[] keys = new String[600];
            for (int i = 0; i < 600; i++) {
                keys[i] = "many" + i;
                if (i % 2 == 0) {
                    wanted.put(keys[i], "value " + i);
                    client.set(keys[i], 0, "value " + i);
                }
            }
            equal(client.getBulk(keys), wanted);
        });
        check(protocol + ": a value of 1,000,000 bytes, and a compressed one", () -> {
            byte[] large = new byte[1_000_000];
            new Random(7).nextBytes(large);
            equal(client.set("large", 0, large).get(), true);
            equal(Arrays.equals((byte[]) client.get("large"), large), true);
            String text = "compressible ".repeat(20_000);
            equal(client.set("zipped", 0, text).get(), true);
            equal(client.get("zipped"), text);
        });
        check(protocol + ": an expiry passes, touch and gat prolong", () -> {
            for (String key : List.of("brief", "touched")) {
                client.set(key, 1, "x").get();
            }
            equal(client.touch("touched", 1000).get(), true);
            waitUntil(() -> client.get("brief") == null);
            equal(client.get("touched"), "x");
        });
        check(protocol + ": versions, stats and flush of every server", () -> {
            equal(Map.copyOf(client.getVersions()).values().stream().allMatch("1.6.45"::equals), true);
            equal(client.getStats().size(), servers.size());
            equal(client.getStats("items").size(), servers.size());
            equal(client.flush().get(), true);
            waitUntil(() -> client.get("once") == null);
        });
        client.shutdown();
    }

    public static void main(String[] arguments) throws Exception {
        System.setProperty("net.spy.log.LoggerImpl", "net.spy.memcached.compat.log.SunLogger");
        java.util.logging.Logger.getLogger("net.spy.memcached").setLevel(java.util.logging.Level.WARNING);
        List<String> servers = Arrays.asList(arguments);
        checks("text", new DefaultConnectionFactory(), servers);
        checks("binary", new BinaryConnectionFactory(), servers);
        System.exit(failures > 0 ? 1 : 0);
    }
}
