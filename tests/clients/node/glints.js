// What every client here is sent, and what it must have seen of it afterwards.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')

const url = process.env.GLINTCAST_URL
const lines = (name) => fs.readFileSync(path.join(__dirname, '../glints', name), 'utf8').split('\n').slice(0, -1)
// The bodies, as agents post them, and the same glints as each client must receive them.
const posted = lines('posted.jsonl')
const wire = lines('wire.jsonl')

async function post(body) {
  const answer = await fetch(url + '/stream/glint', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  assert.equal(answer.status, 200)
  return answer.json()
}

// Posts the sequence, with an event of another name in the midst of it.
async function publish() {
  for (const body of posted.slice(0, 6)) await post(body)
  await (await fetch(url + '/stream/test')).text()
  for (const body of posted.slice(6)) await post(body)
}

// Glints from their envelopes, each with a mark to know it by. Members that the broker adds or normalises are left out.
function marks(envelopes) {
  return envelopes.map(({ data: { glint } }) => glint.content ?? glint['glint.content'] ?? glint.context?.content)
}
const wireMarks = marks(wire.map((line) => JSON.parse(line)).map((body) => ({ data: { glint: body.data?.glint ?? body.glint ?? body } })))

module.exports = { url, posted, wire, wireMarks, marks, post, publish }
