# Dalli with its default protocol: binary up to 3.x, meta since 4.0. Arguments: host:port of each server.
require 'dalli'
require_relative 'check'

unless String.method_defined?(:byteindex)
  # Dalli 5 wants Ruby 3.2. This method is all that it lacks on Debian's 3.1.
  class String
    def byteindex(text, from = 0)
      found = byteslice(from..)&.b&.index(text.b)
      found && from + found
    end
  end
end

ring = Dalli::Client.new(ARGV, namespace: 'shop', compress: true, socket_timeout: 10)
puts "dalli #{Dalli::VERSION}"

check 'set, get, missing, delete' do
  ring.set('colour', 'blue')
  equal ring.get('colour'), 'blue'
  equal ring.get('nothing'), nil
  equal [!!ring.delete('colour'), !!ring.delete('colour')], [true, false]
end

check 'add, replace, append, prepend' do
  equal [!!ring.add('once', '1'), !!ring.add('once', '2')], [true, false]
  ring.replace('once', '3')
  ring.replace('nothing', '3')
  equal [ring.get('once'), ring.get('nothing')], ['3', nil]
  ring.set('middle', '-', nil, raw: true)
  ring.append('middle', 'right')
  ring.prepend('middle', 'left')
  equal ring.get('middle', raw: true), 'left-right'
end

check 'cas: changes what is there, and nothing else' do
  ring.set('token', 1)
  equal !!ring.cas('token') { |value| value + 1 }, true
  equal ring.get('token'), 2
  equal ring.cas('nothing') { raise 'the block ran' }, nil
  # Another client changes the value between the read and the write.
  equal ring.cas('token') { |value| ring.set('token', 10); value + 1 } || nil, nil
  equal ring.get('token'), 10
end

check 'incr and decr, with an initial value' do
  equal ring.incr('n', 5), nil
  equal ring.incr('n', 5, 0, 10), 10
  equal ring.incr('n', 5), 15
  equal ring.decr('n', 20), 0
end

check 'get_multi of 600 keys over all servers, half of them missing' do
  300.times { |i| ring.set("many#{i}", "value #{i}") }
  found = ring.get_multi((0...600).map { |i| "many#{i}" })
  equal found.size, 300
  equal found['many7'], 'value 7'
  items = ring.stats.map { |_, rows| rows['curr_items'].to_i }
  equal items.size, ARGV.size
  equal items.min > 30, true
end

check 'quiet: a pipeline of sets and deletes' do
  ring.multi { 300.times { |i| ring.set("quiet#{i}", i) } }
  equal ring.get_multi((0...300).map { |i| "quiet#{i}" }).size, 300
end if ring.respond_to?(:multi)

check 'values: objects, compressed text, any byte, 1,000,000 bytes' do
  [42, { 'a' => [1, nil] }, 'compressible ' * 20_000, (0..255).map(&:chr).join.b].each do |value|
    ring.set('typed', value)
    equal ring.get('typed'), value
  end
  large = Random.new(7).bytes(1_000_000)
  ring.set('large', large, nil, raw: true, compress: false)
  equal ring.get('large', raw: true).b == large, true
end

check 'a value above the limit is refused' do
  refused(Dalli::ValueOverMaxSize) { ring.set('large', Random.new(7).bytes(2 << 20), nil, raw: true) }
  ring.set('after', 1)
  equal ring.get('after'), 1
end

check 'keys with blanks and other alphabets' do
  ['two words', "caf\u00e9", 'x' * 400].each do |key|
    ring.set(key, key)
    equal ring.get(key), key
  end
end

check 'exptime passes, touch and gat prolong' do
  ring.set('brief', 1, 1)
  %w[touched gotten].each { |key| ring.set(key, key, 1) }
  equal !!ring.touch('touched', 1000), true
  equal ring.gat('gotten', 1000), 'gotten'
  wait_until { ring.get('brief').nil? }
  equal [ring.get('touched'), ring.get('gotten')], %w[touched gotten]
end

check 'fetch computes once' do
  computed = 0
  3.times { equal ring.fetch('price', 100) { computed += 1; 42 }, 42 }
  equal computed, 1
end

check 'version, stats of items, flush' do
  equal ring.version.values, ['1.6.45'] * ARGV.size
  equal ring.stats(:items).size, ARGV.size
  ring.flush
  wait_until { ring.get('once').nil? }
end

finish
