// eventsource: what browsers have built in, for Node. Stands for dashboards and their servers.
//
// Two generations of it are in use: version 2, a parser of its own over http, and version 4, over fetch.

const assert = require('node:assert/strict')
const test = require('node:test')
const { url, wire, wireMarks, marks, publish } = require('./glints')

const versions = { 4: require('eventsource').EventSource, 2: require('eventsource-2') }
const named = ['glint_emission', 'test_event', 'heartbeat', 'phase_update', 'gap', 'farewell', 'keepalive']

const sources = []
test.afterEach(() => sources.splice(0).forEach((source) => source.close()))

// Opens a stream, publishes when greeted, and resolves with [name, text] of all that came, once there was a
// heartbeat or, where none come, a keepalive after the last glint.
function watch(EventSource, path, names = named) {
  return new Promise((resolve, reject) => {
    const source = new EventSource(url + path)
    sources.push(source)
    const seen = []
    const take = ({ type, data }) => {
      seen.push([type, data])
      if (seen.length === 1) publish().catch(reject)
      const ended = seen.some(([, text]) => text.includes('"content": "end"'))
      const isBeat = type === 'heartbeat' || type === 'keepalive' || /"event": "(heartbeat|keepalive)"/.test(data)
      if (ended && isBeat) {
        source.close()
        resolve(seen)
      }
    }
    source.onmessage = take
    for (const name of names) source.addEventListener(name, take)
  })
}

const texts = (seen, name) => seen.filter(([type]) => type === name).map(([, text]) => text)
const envelopes = (seen, event) => texts(seen, 'message').map((text) => JSON.parse(text)).filter((one) => one.event === event)

for (const [version, EventSource] of Object.entries(versions)) {
  const name = (what) => `eventsource ${version}: ${what}`
  const options = { timeout: 20_000 }

  test(name('named listeners see each glint once'), options, async () => {
    const seen = await watch(EventSource, '/stream')
    assert.deepEqual(texts(seen, 'glint_emission'), wire)
    assert.equal(texts(seen, 'message').length, 1, 'the greeting')
    const order = seen.map(([type]) => type).filter((type) => ['glint_emission', 'test_event'].includes(type))
    assert.equal(order.indexOf('test_event'), 6)
    assert.equal(order.length, wire.length + 1)
  })

  test(name('named listeners see the same in the bilingual dialect'), options, async () => {
    const seen = await watch(EventSource, '/stream?dialect=bilingual')
    assert.deepEqual(texts(seen, 'glint_emission'), wire)
  })

  for (const dialect of ['bilingual', 'envelope']) {
    test(name(`onmessage sees each glint once, dialect=${dialect}`), options, async () => {
      // Heartbeats have no shadow, so the quiet after the sequence is told by a keepalive.
      const names = dialect === 'bilingual' ? ['heartbeat'] : []
      const seen = await watch(EventSource, `/stream?dialect=${dialect}`, names)
      const glints = envelopes(seen, 'glint_emission')
      assert.deepEqual(marks(glints), wireMarks)
      for (const { timestamp, data } of glints) {
        for (const member of [timestamp, data.glint.id, data.glint.module, data.glint.phase, data.glint.type]) {
          assert.equal(typeof member, 'string')
        }
      }
      assert.equal(new Set(glints.map(({ data }) => data.glint.id)).size, wire.length, 'each id is a key')
      assert.ok(texts(seen, 'message').some((text) => text.includes('"amount": 123456789012345678901234567890')))
      assert.equal(envelopes(seen, 'test_event').length, 1)
    })
  }

  for (const path of ['/stream?limit=3', '/stream?topics=glints&limit=2', '/stream?dialect=bilingual&limit=3']) {
    test(name(`reconnects by itself without gap or duplicate, ${path}`), options, async () => {
      const seen = await watch(EventSource, path)
      assert.deepEqual(texts(seen, 'glint_emission'), wire)
      assert.deepEqual(texts(seen, 'gap'), [])
      const reasons = new Set(texts(seen, 'farewell').map((text) => JSON.parse(text).reason))
      assert.deepEqual([...reasons], ['limit'])
      const greetings = texts(seen, 'message').map((text) => JSON.parse(text)).filter((one) => 'recovered' in one)
      assert.ok(greetings.length > wire.length / 3, 'it was cut off often')
      assert.ok(greetings.every(({ recovered }) => recovered))
    })
  }

  test(name('onmessage reconnects without gap or duplicate'), options, async () => {
    const seen = await watch(EventSource, '/stream?dialect=envelope&limit=3', [])
    assert.deepEqual(marks(envelopes(seen, 'glint_emission')), wireMarks)
    assert.equal(envelopes(seen, 'gap').length, 0)
    assert.ok(envelopes(seen, 'farewell').length > 3)
  })

  test(name('a foreign Last-Event-ID is told of a gap'), options, async () => {
    const source = new EventSource(url + '/stream?last_event_id=1-1')
    sources.push(source)
    const gap = await new Promise((resolve) => source.addEventListener('gap', resolve))
    assert.equal(JSON.parse(gap.data).from, '1-1')
  })
}
