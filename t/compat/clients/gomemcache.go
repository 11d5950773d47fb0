// gomemcache. Arguments: host:port of each server.
package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

var failures = 0

func check(name string, body func() error) {
	if err := body(); err != nil {
		failures++
		fmt.Printf("not ok %s: %v\n", name, err)
		return
	}
	fmt.Printf("ok %s\n", name)
}

func equal(found, wanted interface{}) error {
	if found != wanted {
		return fmt.Errorf("found %v, wanted %v", found, wanted)
	}
	return nil
}

// first is the first error of several steps.
func first(steps ...error) error {
	for _, err := range steps {
		if err != nil {
			return err
		}
	}
	return nil
}

func waitUntil(fact func() bool) error {
	end := time.Now().Add(8 * time.Second)
	for !fact() {
		if time.Now().After(end) {
			return fmt.Errorf("not within 8 s")
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

func item(key, value string) *memcache.Item {
	return &memcache.Item{Key: key, Value: []byte(value), Flags: 42}
}

func main() {
	servers := os.Args[1:]
	client := memcache.New(servers...)
	client.Timeout = 10 * time.Second
	text := func(key string) string {
		found, err := client.Get(key)
		if err != nil {
			return err.Error()
		}
		return string(found.Value)
	}

	check("set, get, missing, delete", func() error {
		return first(client.Set(item("colour", "blue")), equal(text("colour"), "blue"),
			equal(text("nothing"), memcache.ErrCacheMiss.Error()), client.Delete("colour"),
			equal(client.Delete("colour"), memcache.ErrCacheMiss))
	})
	check("flags come back", func() error {
		client.Set(item("flagged", "x"))
		found, err := client.Get("flagged")
		return first(err, equal(found.Flags, uint32(42)))
	})
	check("add, increment, decrement", func() error {
		err := first(client.Add(item("once", "1")), equal(client.Add(item("once", "2")), memcache.ErrNotStored))
		client.Set(item("n", "10"))
		more, _ := client.Increment("n", 5)
		less, _ := client.Decrement("n", 20)
		return first(err, equal(more, uint64(15)), equal(less, uint64(0)))
	})
	check("compare and swap: stored, then stale", func() error {
		client.Set(item("token", "1"))
		mine, err := client.Get("token")
		theirs, _ := client.Get("token")
		return first(err, client.CompareAndSwap(mine), equal(client.CompareAndSwap(theirs), memcache.ErrCASConflict))
	})
	check("600 keys over all servers, half of them missing", func() error {
		keys := []string{}
		for i := 0; i < 600; i++ {
			keys = append(keys, fmt.Sprintf("many%d", i))
			if i%2 == 0 {
				client.Set(item(keys[i], keys[i]))
			}
		}
		found, err := client.GetMulti(keys)
		return first(err, equal(len(found), 300), equal(string(found["many4"].Value), "many4"))
	})
	check("a value of 1,000,000 bytes", func() error {
		large := bytes.Repeat([]byte("\r\nEND\r\n\x00"), 125000)
		err := client.Set(&memcache.Item{Key: "large", Value: large})
		return first(err, equal(text("large") == string(large), true))
	})
	check("an expiry passes, touch prolongs", func() error {
		client.Set(&memcache.Item{Key: "brief", Value: []byte("x"), Expiration: 1})
		client.Set(&memcache.Item{Key: "prolonged", Value: []byte("x"), Expiration: 1})
		err := client.Touch("prolonged", 1000)
		gone := waitUntil(func() bool { return text("brief") == memcache.ErrCacheMiss.Error() })
		return first(err, gone, equal(text("prolonged"), "x"))
	})
	check("flush", func() error {
		err := client.FlushAll()
		return first(err, waitUntil(func() bool { return text("once") == memcache.ErrCacheMiss.Error() }))
	})
	if failures > 0 {
		os.Exit(1)
	}
}
