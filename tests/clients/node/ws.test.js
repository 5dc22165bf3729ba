// ws: the most used WebSocket library of Node. Stands for dashboards' servers and for GS1 readers in TypeScript.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const test = require('node:test')
const WebSocket = require('ws')
const { url, posted, wire, publish } = require('./glints')

const options = { timeout: 20_000 }
const sockets = []
test.afterEach(() => sockets.splice(0).forEach((socket) => socket.terminate()))

function connect(protocols, path = '/stream') {
  const socket = new WebSocket(url.replace('http', 'ws') + path, protocols)
  sockets.push(socket)
  return socket
}

const head = /^@frame\{v=1 sid=(\d+) seq=(\d+) kind=(\w+) len=(\d+)(?: crc=([0-9a-f]{8}))?\}\n/

// Takes a message apart that must be one whole frame.
function frame(message) {
  const [line, sid, seq, kind, length] = head.exec(message)
  const payload = message.slice(line.length, -1)
  assert.ok(message.endsWith('\n'))
  assert.equal(Buffer.byteLength(payload), Number(length))
  return { sid, seq: Number(seq), kind, payload }
}

// Resolves with all messages but keepalives up to the one that `isLast` accepts; the first one sets off `start`.
function collect(socket, start, isLast) {
  return new Promise((resolve, reject) => {
    const messages = []
    socket.on('error', reject)
    socket.on('message', (data, isBinary) => {
      const message = isBinary ? data : data.toString()
      if (message.includes('"event": "keepalive"')) return
      messages.push(message)
      if (messages.length === 1) Promise.resolve(start(message)).catch(reject)
      if (isLast(message, messages)) {
        socket.close()
        resolve(messages)
      }
    })
  })
}

// A heartbeat after the last glint: by then a glint that came twice is seen.
const isHeartbeatAfterEnd = (message, messages) =>
  message.includes('heartbeat') && !message.includes('posted_event') && messages.some((one) => one.includes('c-end'))

test('ws: JSON events', options, async () => {
  const messages = await collect(connect('glintcast.json.v1'), publish, isHeartbeatAfterEnd)
  const events = messages.map((message) => JSON.parse(message))
  assert.equal(events[0].event, 'hello')
  assert.ok(events[0].data.phase)
  const glints = messages.filter((_, at) => events[at].event === 'glint_emission')
  assert.deepEqual(glints.map((message) => message.slice(message.indexOf('"data": ') + 8, -1)), wire)
  assert.equal(events.filter(({ event }) => event === 'test_event').length, 1)
})

test('ws: GS1-T frames count up by one', options, async () => {
  const socket = connect(['gs1-t.v1', 'glintcast.json.v1'])
  const messages = await collect(socket, publish, isHeartbeatAfterEnd)
  assert.equal(socket.protocol, 'gs1-t.v1')
  const frames = messages.map(frame)
  assert.equal(frames[0].sid, '0')
  assert.match(frames[0].payload, /event=hello .*streams=\[/)
  const last = new Map()
  for (const { sid, seq } of frames) {
    assert.equal(seq, (last.get(sid) ?? seq - 1) + 1)
    last.set(sid, seq)
  }
  const glints = frames.filter(({ payload }) => payload.includes(' topic=glints'))
  assert.equal(glints.length, wire.length)
  assert.ok(glints[1].payload.includes('"Zürich ☕ 日本 😀 ꧁꧂ Δ café"'))
})

test('ws: GS1-B frames are binary messages', options, async () => {
  const messages = await collect(connect('gs1-b.v1'), publish, isHeartbeatAfterEnd)
  assert.ok(messages.every((message) => Buffer.isBuffer(message) && message.toString('latin1', 0, 4) === 'GS1\x01'))
  assert.equal(messages.filter((message) => message.includes(' topic=glints')).length, wire.length)
})

test('ws: publishes in any shape and sees the receipts', options, async () => {
  const socket = connect('glintcast.json.v1', '/stream?topics=glints')
  const start = () => posted.forEach((glint) => socket.send(`{"op": "publish", "glint": ${glint}}`))
  const messages = await collect(socket, start, (_, messages) => messages.length === 2 * posted.length + 1)
  const events = messages.slice(1).map((message) => JSON.parse(message))
  const cursors = (name) => events.filter(({ event }) => event === name).map(({ cursor }) => cursor)
  assert.equal(cursors('receipt').length, posted.length)
  assert.deepEqual(cursors('receipt'), cursors('glint_emission'))
})

test('ws: a refused glint is answered and ends nothing', options, async () => {
  const socket = connect('glintcast.json.v1', '/stream?topics=glints')
  const start = () => {
    socket.send('{"op": "publish", "glint": [1]}')
    socket.send('{"op": "dance"}')
    socket.send('{"op": "ping"}')
  }
  const messages = await collect(socket, start, (_, messages) => messages.length === 4)
  const [, refused, unknown, pong] = messages.map((message) => JSON.parse(message))
  assert.deepEqual([refused.code, unknown.code, pong.event], ['glint_not_object', 'op_unknown', 'pong'])
})

const closes = [
  ['gs1-t.v1', 'no frame', 1007],
  ['gs1-t.v1', Buffer.from('GS1'), 1003],
  ['gs1-b.v1', 'text', 1003],
  ['glintcast.json.v1', '{', 1007],
  ['glintcast.json.v1', 'x'.repeat(70_000), 1009],
]
for (const [protocol, message, code] of closes) {
  test(`ws: ${protocol} closes with ${code} after ${JSON.stringify(message).slice(0, 20)}`, options, async () => {
    const socket = connect(protocol, '/stream?topics=glints')
    await once(socket, 'open')
    socket.send(message)
    assert.equal((await once(socket, 'close'))[0], code)
  })
}

test('ws: closes as the client wants it', options, async () => {
  const socket = connect('gs1-t.v1')
  await once(socket, 'message')
  socket.close(1000, 'enough')
  assert.equal((await once(socket, 'close'))[0], 1000)
})

test('ws: answers a ping', options, async () => {
  const socket = connect('gs1-t.v1')
  await once(socket, 'open')
  socket.ping('here?')
  assert.equal((await once(socket, 'pong'))[0].toString(), 'here?')
})
