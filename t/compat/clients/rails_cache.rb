# Rails' MemCacheStore, which stands on Dalli. Arguments: host:port of each server.
require 'active_support'
require 'active_support/cache'
require 'active_support/cache/mem_cache_store'
require 'active_support/notifications'
require_relative 'check'

store = ActiveSupport::Cache::MemCacheStore.new(*ARGV, namespace: 'app')

check 'write, read, exist?, delete' do
  equal !!store.write('colour', { 'name' => 'blue' }), true
  equal store.read('colour'), { 'name' => 'blue' }
  equal [store.exist?('colour'), store.exist?('nothing')], [true, false]
  equal [store.delete('colour'), store.read('colour')], [true, nil]
end

check 'fetch computes once, and nil is a value' do
  computed = 0
  3.times { equal store.fetch('price') { computed += 1; 42 }, 42 }
  3.times { equal store.fetch('none') { computed += 1; nil }, nil }
  equal computed, 2
end

check 'write_multi, read_multi, fetch_multi' do
  store.write_multi((0...300).to_h { |i| ["many#{i}", i] })
  equal store.read_multi(*(0...600).map { |i| "many#{i}" }).size, 300
  equal store.fetch_multi('many1', 'many999') { |key| "made for #{key}" }, { 'many1' => 1, 'many999' => 'made for many999' }
end

check 'increment and decrement' do
  store.write('hits', 10, raw: true)
  equal store.increment('hits', 5), 15
  equal store.decrement('hits', 3), 12
end

check 'unless_exist, expires_in, race_condition_ttl' do
  equal [1, 2].map { |value| !!store.write('once', value, unless_exist: true) }, [true, false]
  store.write('brief', 1, expires_in: 1)
  wait_until { store.read('brief').nil? }
  equal store.fetch('renewed', expires_in: 100, race_condition_ttl: 5) { 1 }, 1
end

check 'large and compressed values' do
  store.write('zipped', 'compressible ' * 20_000)
  equal store.read('zipped'), 'compressible ' * 20_000
  large = Random.new(7).bytes(900_000)
  store.write('large', large, compress: false)
  equal store.read('large') == large, true
end

check 'stats of every server, clear' do
  equal store.stats.size, ARGV.size
  store.clear
  wait_until { store.read('once').nil? }
end

finish
