// Chromium: the EventSource that is built into browsers, in a page of another origin than the broker's.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const fs = require('node:fs')
const http = require('node:http')
const os = require('node:os')
const path = require('node:path')
const test = require('node:test')
const { url, wire, wireMarks, marks, publish } = require('./glints')

const chromium = process.env.CHROMIUM ?? '/usr/bin/chromium'
const skip = fs.existsSync(chromium) ? false : `there is no ${chromium}; set CHROMIUM to another place`

// Runs in the page: hands on each event until there is a quiet moment after the last glint.
function page(stream, names) {
  const source = new EventSource(stream)
  const seen = []
  const take = ({ type, data }) => {
    seen.push([type, data])
    if (seen.length === 1) fetch('/greeted', { method: 'POST' })
    const ended = seen.some(([, text]) => text.includes('"content": "end"'))
    if (ended && (type === 'heartbeat' || data.includes('"event": "heartbeat"'))) {
      source.close()
      fetch('/seen', { method: 'POST', body: JSON.stringify(seen) })
    }
  }
  source.onmessage = take
  for (const name of names) source.addEventListener(name, take)
}

// Shows the page to a browser of its own and resolves with what it saw.
async function browse(t, query, names) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'glintcast-chromium-'))
  let browser
  const server = http.createServer()
  t.after(async () => {
    server.close()
    server.closeAllConnections()
    const gone = new Promise((resolve) => browser.once('close', resolve))
    try {
      process.kill(-browser.pid)
      await gone
    } catch {
      // It was gone already.
    }
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  })
  const seen = new Promise((resolve, reject) => {
    server.on('request', async (request, response) => {
      if (request.url === '/greeted') publish().catch(reject)
      if (request.url === '/seen') {
        let body = ''
        for await (const chunk of request) body += chunk
        resolve(JSON.parse(body))
      }
      response.setHeader('content-type', 'text/html; charset=utf-8')
      response.end(`<script>(${page})(${JSON.stringify(url + query)}, ${JSON.stringify(names)})</script>`)
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run']
  const address = `http://127.0.0.1:${server.address().port}/`
  browser = spawn(chromium, [...flags, `--user-data-dir=${profile}`, address], { detached: true, stdio: 'ignore' })
  return seen
}

const texts = (seen, name) => seen.filter(([type]) => type === name).map(([, text]) => text)

test('chromium: named listeners see each glint once, across reconnections', { skip, timeout: 20_000 }, async (t) => {
  const seen = await browse(t, '/stream?limit=5', ['glint_emission', 'heartbeat', 'gap', 'farewell'])
  assert.deepEqual(texts(seen, 'glint_emission'), wire)
  assert.deepEqual(texts(seen, 'gap'), [])
  assert.ok(texts(seen, 'farewell').length > 1, 'it was cut off')
})

test('chromium: onmessage sees each glint once, dialect=bilingual', { skip, timeout: 20_000 }, async (t) => {
  const seen = await browse(t, '/stream?dialect=bilingual', ['heartbeat'])
  const envelopes = texts(seen, 'message').map((text) => JSON.parse(text))
  assert.deepEqual(marks(envelopes.filter(({ event }) => event === 'glint_emission')), wireMarks)
})
