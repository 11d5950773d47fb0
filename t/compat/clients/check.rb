# What the Ruby client tests share: named checks, each with its own line. Arguments of a test: host:port of each server.

$failures = 0

def check(name)
  yield
  puts "ok #{name}"
rescue StandardError => e
  $failures += 1
  puts "not ok #{name}: #{e.class}: #{e.message[0, 200].inspect} at #{e.backtrace.find { |line| !line.include?(__FILE__) }}"
end

def equal(found, wanted)
  raise "found #{found.inspect[0, 200]}, wanted #{wanted.inspect[0, 200]}" unless found == wanted
end

def refused(kind)
  yield
rescue kind
  nil
else
  raise "nothing was refused, wanted #{kind}"
end

# Polls, because only the server's clock knows when a second is over.
def wait_until
  ending = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 8
  until yield
    raise 'not within 8 s' if Process.clock_gettime(Process::CLOCK_MONOTONIC) > ending

    sleep 0.05
  end
end

def finish
  exit($failures.zero? ? 0 : 1)
end
