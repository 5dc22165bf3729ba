// The page of the broker. Whatever comes in is untrusted: it becomes text, never markup, and what is kept is bounded.

const EVENTS = ['glint_emission', 'phase_update', 'climate_update', 'usage_update', 'caesura_detected',
  'drift_detected', 'heartbeat', 'test_event'];const ROWS_MAX = 200;
// Glints may have megabytes; two hundred of those would be the memory of the tab.
const RAW_MAX = 64 * 1024;
const WORDS_MAX = 300;
// Often enough to look live, seldom enough that a storm costs a few hundred rows a second and not thousands.
const RENDER_MS = 200;
const RATE_SECONDS = 10;
const RETRY_MS = { min: 500, usual: 1000, max: 30_000 };
const KEEPALIVE_MS = { min: 1000, usual: 15_000 };
const REQUEST_MS = 10_000;
// A stream filtered by module or phase carries no heartbeats; then the breath is asked for.
const BREATH_POLL_MS = 3000;
const BREATH_STALE_MS = 10_000;

const byId = (id) => document.getElementById(id);
const text = (value) => (typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value));
const share = (value) => Math.min(Math.max(Number(value) || 0, 0), 1);
const millis = (value, { usual, min }) => Math.max(Number(value) || usual, min);
const percent = (value, digits) => `${(value * 100).toFixed(digits)} %`;
const clock = (time) => text(time).replace(/^.*T/, '').replace(/Z$/, '').slice(0, 12);
const counted = (count, noun) => `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;

const element = (tag, className, textContent = '') =>
  Object.assign(document.createElement(tag), { className, textContent });
/** The beginning of a text, copied: a mere slice would keep all of it in memory. */
const cut = (value, max) =>
  (value.length > max ? new TextDecoder().decode(new TextEncoder().encode(value.slice(0, max))) : value);

const parse = (raw) => {
  try {
    const parsed = JSON.parse(raw);
    if (typeof parsed === 'object' && parsed) return parsed;
  } catch { /* shown as it came */ }
  return { data: raw };
};

// The breath
const breath = { heardMs: 0, polledMs: 0 };
const arcs = [...document.querySelectorAll('#ring .fill')];
/** How full the lung is when a phase begins and when it ends: still while held, empty at night. */
const FULLNESS = { inhale: [0, 1], hold: [1, 1], exhale: [1, 0.3], return: [0.3, 0], night_hold: [0, 0] };

const showBreath = (state) => {
  if (typeof state?.phase !== 'string') return;
  breath.heardMs = Date.now();
  const [phase, progress, usage] = [state.phase, share(state.progress), share(state.usage)];
  const current = arcs.findIndex((arc) => arc.dataset.phase === phase);
  arcs.forEach((arc, place) => {
    arc.setAttribute('stroke-dasharray', `${(15 * (place === current ? progress : 1)).toFixed(3)} 100`);
    arc.classList.toggle('past', place < current);
    arc.classList.toggle('now', place === current);
    byId('phases').children[place].ariaCurrent = place === current ? 'step' : null;
  });
  byId('breath').dataset.phase = phase;
  const [empty, full] = FULLNESS[phase] ?? [0.5, 0.5];
  byId('lung').setAttribute('r', 36 + 28 * (empty + (full - empty) * progress));
  byId('ring').setAttribute('aria-label', `${phase}, ${percent(progress, 0)} of it passed`);
  byId('ring-phase').textContent = phase;
  byId('ring-progress').textContent = percent(progress, 1);
  byId('climate').textContent = byId('climate').dataset.climate = text(state.climate);
  byId('usage').textContent = percent(usage, 1);
  byId('usage-bar').setAttribute('width', usage * 100);
};

const pollBreath = async (nowMs) => {
  if (document.hidden || nowMs - Math.max(breath.heardMs, breath.polledMs) < BREATH_POLL_MS) return;
  breath.polledMs = nowMs;
  const answer = await fetch('/state', { signal: AbortSignal.timeout(REQUEST_MS) }).catch(() => null);
  if (answer?.ok) showBreath(await answer.json().catch(() => null));
};
const showBreathAge = (nowMs) => {
  const isStale = breath.heardMs > 0 && nowMs - breath.heardMs > BREATH_STALE_MS;
  byId('breath').classList.toggle('stale', isStale);
  byId('breath-age').textContent = isStale ? `as of ${new Date(breath.heardMs).toISOString().slice(11, 19)} UTC` : '';
};

// The list
// `waiting` is not shown yet; `perSecond` counts what happened live, the running second last.
const list = { waiting: [], timer: 0, total: 0, gaps: 0, perSecond: [0], entries: new WeakMap() };

/** Where the glints of different agents have something to read, the best first. */
const CONTENT_PATHS = (`content glint.content glint/content data/glint/content data/content message soft.suggestion
  toneform glint.toneform glint/toneform data/glint/toneform data/glint/context context`)
  .split(/\s+/).map((path) => path.split('/'));
/** What the other columns tell, or nobody reads. */
const UNREAD = /^(glint[._])?(event|id|timestamp|source|module|phase)$/;

const contentOf = (data) => {
  for (const path of CONTENT_PATHS) {
    const found = path.reduce((value, key) => value?.[key], data);
    if (typeof found === 'string' && found.trim()) return cut(found.trim(), WORDS_MAX);
  }
  if (typeof data !== 'object') return cut(text(data), WORDS_MAX);
  const rest = Object.entries(data ?? {}).filter(([key]) => !UNREAD.test(key));
  return cut(rest.map(([key, value]) => `${key}=${text(value)}`).join(' '), WORDS_MAX);
};

const keep = (raw, entry) => {
  list.waiting.push({ ...entry, raw: cut(raw, RAW_MAX), length: raw.length });
  if (list.waiting.length > ROWS_MAX) list.waiting.shift();
  list.timer ||= setTimeout(render, RENDER_MS);
};

const keepEvent = (name, event, raw) => {
  list.total += 1;
  // What had happened before this connection says nothing about the rate now.
  if (!(text(event.time) < stream.helloTime)) list.perSecond[list.perSecond.length - 1] += 1;
  const { time, source, phase, cursor } = event;
  keep(raw, { name, time, cursor, source: text(source) || '–', phase: text(phase), content: contentOf(event.data) });
};
const keepNotice = (name, event, raw, words) => {
  byId('note').textContent = words;
  keep(raw, { name, time: event.time, content: words, isNotice: true });
};

const rowOf = (entry) => {
  const item = element('li', '');
  // One stop for Tab, not two hundred: arrow keys do the rest.
  const row = item.appendChild(element('button', entry.isNotice ? 'row notice' : 'row'));
  row.tabIndex = -1;
  const cells = entry.isNotice ? ['time', 'content'] : ['time', 'name', 'source', 'phase', 'content'];
  for (const cell of cells) row.append(element('span', cell, cell === 'time' ? clock(entry.time) : entry[cell]));
  row.children[1].dataset.name = entry.name;
  // `exhale.cast` and `Hold` are phases of agents, akin to those of the breath.
  if (entry.phase) row.children[3].dataset.phase = entry.phase.toLowerCase().replace(/\..*/, '');
  list.entries.set(row, entry);
  return item;
};

/** A row that somebody is about to click or has reached by keyboard must not move away. */
const isHeldStill = () =>
  (matchMedia('(hover: hover)').matches && byId('events').matches(':hover:not(:empty)'))
  || byId('events').querySelector(':focus-visible') !== null;

const render = () => {
  list.timer = isHeldStill() ? setTimeout(render, RENDER_MS) : 0;
  if (!list.timer) {
    const events = byId('events');
    const heightBefore = events.scrollHeight;
    events.prepend(...list.waiting.splice(0).reverse().map(rowOf));
    // Whoever has scrolled down to read keeps the place.
    if (events.scrollTop > 0) events.scrollTop += events.scrollHeight - heightBefore;
    while (events.childElementCount > ROWS_MAX) events.lastElementChild.remove();
  }
  showCount();
};

const showCount = () => {
  const rate = list.perSecond.reduce((sum, count) => sum + count) / list.perSecond.length;
  const parts = [counted(list.total, 'event'), `${rate.toFixed(rate < 100 ? 1 : 0)}/s`];
  if (list.gaps) parts.push(counted(list.gaps, 'gap'));
  if (list.waiting.length && isHeldStill()) parts.push(`held still, ${list.waiting.length} to come`);
  byId('count').textContent = parts.join(' · ');
};
const clear = () => {
  Object.assign(list, { waiting: [], total: 0, gaps: 0, perSecond: [0] });
  byId('events').replaceChildren();
  showCount();
};

const moveFocus = (event) => {
  const rows = [...byId('events').querySelectorAll('.row')];
  const at = rows.indexOf(document.activeElement);
  const target = { ArrowDown: at + 1, ArrowUp: Math.max(at - 1, 0), Home: 0, End: rows.length - 1 }[event.key];
  if (target === undefined) return;
  event.preventDefault();
  rows[target]?.focus();
};

/** Indents JSON token by token: parsing it would change the numbers that a double cannot hold. */
const indent = (raw) => {
  let depth = 0;
  const newLine = () => `\n${'  '.repeat(depth)}`;
  const tokens = raw.match(/"[^"\\]*(?:\\.[^"\\]*)*"|[{[]\s*[}\]]|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  return tokens.map((token) => {
    if (token === '{' || token === '[') depth += 1;
    if (token === '}' || token === ']') depth -= 1;
    if ('}]'.includes(token)) return newLine() + token;
    if ('{[,'.includes(token)) return token + newLine();
    if (token === ':') return ': ';
    // The broker writes ASCII; people read glyphs, but marks that turn lines around stay escaped.
    return /^"(?!.*\\u20(2[89a-e]|6[6-9]))/i.test(token) ? JSON.stringify(JSON.parse(token)) : token;
  }).join('');
};

const openDetail = ({ name, cursor, raw, length }) => {
  byId('detail-title').textContent = `${name} ${text(cursor)}`;
  const isCut = length > RAW_MAX;
  const shown = isCut || !parse(raw).event ? raw : indent(raw);
  byId('detail-json').textContent = shown + (isCut ? `\n\n… and so on for ${counted(length, 'character')}` : '');
  byId('detail').showModal();
  byId('detail-json').scrollTop = 0;
};

// The connection
const stream = {
  source: null, state: '', query: '', cursor: null, attempt: 0, failures: 0, heardMs: 0, helloTime: '',
  keepaliveMs: KEEPALIVE_MS.usual, retryMs: RETRY_MS.usual, retryAtMs: 0, retryTimer: 0,
};
/** What the page says of a state, and what in an empty list. */
const STATES = {
  connecting: ['Connecting', 'Connecting to the broker.'],
  live: ['Live', 'Nothing has come yet. Post a test glint, or widen the filters.'],
  waiting: ['Reconnecting', 'The broker cannot be reached.'],
  farewell: ['Farewell, back', 'The broker said farewell.'],
  paused: ['Paused', 'Paused. Resume goes on where it stopped.'],
  refused: ['Refused', 'The broker refuses this view. Change the filters and apply them.'],
};

const show = (state) => {
  stream.state = state;
  byId('connection').dataset.state = state;
  [byId('connection-text').textContent, byId('empty').textContent] = STATES[state];
  byId('pause').textContent = state === 'paused' ? 'Resume' : 'Pause';
  showCountdown();
};
const showCountdown = () => {
  const seconds = Math.max(Math.ceil((stream.retryAtMs - Date.now()) / 1000), 1);
  byId('countdown').textContent = ['waiting', 'farewell'].includes(stream.state) ? `in ${seconds} s` : '';
};

const streamUrl = () => `/stream?${stream.query}&from=${encodeURIComponent(stream.cursor ?? `-${ROWS_MAX}`)}`;

const disconnect = () => {
  stream.source?.close();
  stream.source = null;
  stream.attempt += 1;
  clearTimeout(stream.retryTimer);
};

const connect = () => {
  disconnect();
  stream.heardMs = Date.now();
  show('connecting');
  const source = stream.source = new EventSource(streamUrl());
  for (const name of [...Object.keys(CONTROL), ...EVENTS]) source.addEventListener(name, hear);
  source.addEventListener('error', () => lose(source));
};

const retry = (state, delayMs) => {
  disconnect();
  stream.retryAtMs = Date.now() + delayMs;
  stream.retryTimer = setTimeout(connect, delayMs);
  show(state);
};
const backOff = () => {
  const delayMs = Math.min(stream.retryMs * 2 ** stream.failures, RETRY_MS.max);
  stream.failures += 1;
  // Pages that lost the same broker should not all come back in the same instant.
  retry('waiting', delayMs * (0.75 + Math.random() / 2));
};

/** The browser would retry by itself, but does not say when, and never after a refusal. */
const lose = async (source) => {
  const isRefused = source.readyState === EventSource.CLOSED;
  disconnect();
  const { attempt } = stream;
  const isFinal = isRefused && await askWhy();
  // Paused or filtered anew while the question was under way.
  if (attempt !== stream.attempt) return;
  if (isFinal) show('refused');
  else backOff();
};

/** An EventSource never learns why it was refused; a plain request is told. Returns whether asking again is vain. */
const askWhy = async () => {
  const answer = await fetch(streamUrl(), { signal: AbortSignal.timeout(REQUEST_MS) }).catch(() => null);
  // Either nobody answers, or a stream that nobody needs.
  if (answer?.ok) answer.body?.cancel();
  if (!answer || answer.ok) return false;
  byId('note').textContent = `Refused: ${await problemOf(answer)}`;
  return answer.status < 500 && answer.status !== 429;
};

const CONTROL = {
  hello: (event) => {
    stream.failures = 0;
    stream.keepaliveMs = millis(event.keepalive_ms, KEEPALIVE_MS);
    stream.retryMs = millis(event.retry_ms, RETRY_MS);
    stream.helloTime = text(event.time);
    byId('note').textContent = event.recovered === false ? 'Connected, but part of what happened before is gone.' : '';
    show('live');
    showBreath(event.data);
  },
  keepalive: () => {},
  gap: (event, raw) => {
    list.gaps += 1;
    const [from, to, reason] = [event.from, event.to, event.reason].map(text);
    keepNotice('gap', event, raw, `Gap: events after ${from} up to ${to} are gone (${reason}).`);
    // What is gone need not be asked for again.
    stream.cursor = to || stream.cursor;
  },
  farewell: (event, raw) => {
    keepNotice('farewell', event, raw, `Farewell: the broker ends this stream (${text(event.reason)}).`);
    retry('farewell', millis(event.retry_ms, RETRY_MS));
  },
};

const hear = ({ type, data: raw }) => {
  const event = parse(raw);
  stream.heardMs = Date.now();
  // Not `lastEventId`: on frames without one it names what was before a gap.
  if (typeof event.cursor === 'string') stream.cursor = event.cursor;
  if (Object.hasOwn(CONTROL, type)) return CONTROL[type](event, raw);
  if (type === 'heartbeat') showBreath(event.data?.state);
  if (type !== 'heartbeat' || byId('heartbeats').checked) keepEvent(type, event, raw);
};

/** A connection can be open and dead: a proxy that left, a laptop that slept. Silence tells. */
const watch = (nowMs) => {
  const silentMs = nowMs - stream.heardMs;
  if (!stream.source || silentMs <= 2 * stream.keepaliveMs) return;
  byId('note').textContent = `Nothing was heard for ${Math.round(silentMs / 1000)} s.`;
  backOff();
};

const applyFilters = () => {
  const form = new FormData(byId('filters'));
  // Heartbeats drive the ring, listed or not.
  const topics = [...new Set([...form.getAll('topics'), 'heartbeat'])].join();
  const query = new URLSearchParams({ dialect: 'plain', topics });
  for (const name of ['module', 'phase']) if (form.get(name).trim()) query.set(name, form.get(name).trim());
  if (`${query}` === stream.query && stream.state !== 'refused') return;
  Object.assign(stream, { query: `${query}`, cursor: null, failures: 0 });
  clear();
  if (stream.state !== 'paused') connect();
};

const togglePause = () => {
  if (stream.state === 'paused') return connect();
  disconnect();
  show('paused');
};

// Posting and copying
const problemOf = async (answer) => {
  const { title, detail, code } = parse(await answer.text());
  const words = [title, detail].map(text).filter(Boolean).join(': ') || answer.statusText;
  return `${answer.status} ${words.slice(0, WORDS_MAX)}${code ? ` (${text(code)})` : ''}`;
};

const post = async (form) => {
  const body = JSON.stringify(Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim())));
  const headers = { 'Content-Type': 'application/json' };
  const answer = await fetch('/glints', { method: 'POST', headers, body, signal: AbortSignal.timeout(REQUEST_MS) });
  if (!answer.ok) throw new Error(await problemOf(answer));
  const { id, cursor, durability, listeners } = parse(await answer.text());
  return `Taken as ${text(cursor)} (${text(durability)}), ${text(listeners)} listening. Id ${text(id)}`;
};
const showReceipt = async (form) => {
  const outcome = await post(form).then((words) => [words, 'good'], (err) => [`Not posted. ${err.message}`, 'bad']);
  [byId('receipt').textContent, byId('receipt').dataset.outcome] = outcome;
};

const copy = async (source, button) => {
  // Browsers hide the clipboard from pages without TLS; what is selected can be copied by hand.
  const isCopied = await navigator.clipboard?.writeText(source.textContent).then(() => true, () => false);
  if (!isCopied) getSelection().selectAllChildren(source);
  button.textContent = isCopied ? 'Copied' : 'Selected';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
};

const fillExamples = () => {
  for (const code of document.querySelectorAll('.example code')) {
    const origin = (_, scheme) => location.origin.replace('http', scheme);
    code.textContent = code.textContent.replace(/(http|ws):\/\/127\.0\.0\.1:5056/, origin);
    const button = element('button', 'copy', 'Copy');
    button.title = `Copy the example of ${code.closest('tr').firstElementChild.textContent}`;
    button.addEventListener('click', () => copy(code, button));
    code.after(button);
  }
};
const tick = () => {
  const nowMs = Date.now();
  watch(nowMs);
  showCountdown();
  pollBreath(nowMs);
  showBreathAge(nowMs);
  showCount();
  list.perSecond = [...list.perSecond, 0].slice(-RATE_SECONDS);
};

const on = (id, type, act) => byId(id).addEventListener(type, act);
const onSubmit = (id, act) => on(id, 'submit', (event) => {
  event.preventDefault();
  act(event.target);
});
fillExamples();
onSubmit('filters', applyFilters);
onSubmit('glint', showReceipt);
on('filters', 'change', applyFilters);
on('pause', 'click', togglePause);
on('events', 'keydown', moveFocus);
on('events', 'click', ({ target }) => target.closest('.row') && openDetail(list.entries.get(target.closest('.row'))));
on('detail-copy', 'click', ({ target }) => copy(byId('detail-json'), target));
setInterval(tick, 1000);
applyFilters();
