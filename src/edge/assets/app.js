// The page of the broker. Whatever comes in is untrusted: it becomes text, never markup, and everything kept is bounded.

const PHASES = ['inhale', 'hold', 'exhale', 'return', 'night_hold'];
const EVENTS = ['glint_emission', 'phase_update', 'climate_update', 'usage_update', 'caesura_detected', 'drift_detected',
  'heartbeat', 'test_event'];

const ROWS_MAX = 200;
// Glints may have megabytes; two hundred of those would be the memory of the tab.
const RAW_MAX = 64 * 1024;
const CONTENT_MAX = 300;
// Often enough to look live, seldom enough that a storm costs a few hundred rows a second and not thousands.
const RENDER_MS = 200;
const RATE_SECONDS = 10;
const RETRY_MS = { min: 500, usual: 1000, max: 30_000 };
const KEEPALIVE_MS = { min: 1000, usual: 15_000 };
// A stream filtered by module or phase carries no heartbeats; then the breath is asked for.
const BREATH_POLL_MS = 3000;
const BREATH_STALE_MS = 10_000;

const byId = (id) => document.getElementById(id);
const text = (value) => (typeof value === 'string' ? value : value == null ? '' : JSON.stringify(value));
const percent = (share, digits) => `${(share * 100).toFixed(digits)} %`;
const clock = (time) => text(time).replace(/^.*T/, '').replace(/Z$/, '').slice(0, 12);
const number = new Intl.NumberFormat('en');

const element = (name, className, content) => {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = content;
  return made;
};

// ---- the breath

const breath = { heardMs: 0, polledMs: 0, arcs: new Map() };

const drawArcs = () => {
  const svgNs = 'http://www.w3.org/2000/svg';
  PHASES.forEach((phase, place) => {
    for (const kind of ['track', 'fill']) {
      const arc = document.createElementNS(svgNs, 'circle');
      const attributes = { class: kind, cx: 100, cy: 100, r: 84, pathLength: 100, 'data-phase': phase };
      // Five equal parts with room for the round caps: how long a phase is, the stream does not tell.
      const offset = { 'stroke-dasharray': '15 85', 'stroke-dashoffset': -(place * 20 + 2.5) };
      for (const [key, value] of Object.entries({ ...attributes, ...offset })) arc.setAttribute(key, value);
      byId('arcs').append(arc);
      if (kind === 'fill') breath.arcs.set(phase, arc);
    }
  });
};

/** How full the lung is: the picture of a breath, still while held. */
const fullness = (phase, progress) =>
  ({ inhale: progress, hold: 1, exhale: 1 - 0.7 * progress, return: 0.3 * (1 - progress), night_hold: 0 })[phase] ?? 0.5;

const showBreath = (state) => {
  if (typeof state?.phase !== 'string') return;
  breath.heardMs = Date.now();
  const phase = state.phase;
  const progress = Math.min(Math.max(Number(state.progress) || 0, 0), 1);
  const usage = Math.min(Math.max(Number(state.usage) || 0, 0), 1);
  const current = PHASES.indexOf(phase);
  PHASES.forEach((name, place) => {
    const share = place === current ? progress : 1;
    const arc = breath.arcs.get(name);
    arc.setAttribute('stroke-dasharray', `${(share * 15).toFixed(3)} 100`);
    arc.classList.toggle('past', place < current);
    arc.classList.toggle('now', place === current);
  });
  for (const item of byId('phases').children) {
    if (item.dataset.phase === phase) item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
  }
  byId('breath').dataset.phase = phase;
  byId('lung').setAttribute('r', 36 + 28 * fullness(phase, progress));
  byId('ring-phase').textContent = phase;
  byId('ring-progress').textContent = percent(progress, 1);
  byId('climate').textContent = text(state.climate);
  byId('climate').dataset.climate = text(state.climate);
  byId('usage').textContent = percent(usage, 1);
  byId('usage-bar').setAttribute('width', usage * 100);
  byId('ring').setAttribute('aria-label', `${phase}, ${percent(progress, 0)} of it passed`);
};

const pollBreath = async (nowMs) => {
  if (document.hidden || nowMs - Math.max(breath.heardMs, breath.polledMs) < BREATH_POLL_MS) return;
  breath.polledMs = nowMs;
  const answer = await fetch('/state', { signal: AbortSignal.timeout(BREATH_POLL_MS) }).catch(() => null);
  if (answer?.ok) showBreath(await answer.json().catch(() => null));
};

const showBreathAge = (nowMs) => {
  const isStale = breath.heardMs > 0 && nowMs - breath.heardMs > BREATH_STALE_MS;
  byId('breath').classList.toggle('stale', isStale);
  byId('breath-age').textContent = isStale ? `as of ${new Date(breath.heardMs).toISOString().slice(11, 19)} UTC` : '';
};

// ---- the list

// `waiting` came in and is not shown yet; `perSecond` counts live events, the newest second last.
const list = { waiting: [], timer: 0, total: 0, gaps: 0, perSecond: [0], events: new WeakMap() };

/** Where glints of the different agents have something to read, the best first. */
const CONTENT_PATHS = ['content', 'glint.content', 'glint/content', 'data/glint/content', 'data/content', 'message', 'toneform',
  'glint.toneform', 'glint/toneform', 'data/glint/toneform', 'data/glint/context', 'context'].map((path) => path.split('/'));

const contentOf = (data) => {
  for (const path of CONTENT_PATHS) {
    const found = path.reduce((value, key) => value?.[key], data);
    if (typeof found === 'string' && found.trim()) return found.trim().slice(0, CONTENT_MAX);
  }
  if (typeof data !== 'object' || !data) return text(data).slice(0, CONTENT_MAX);
  const rest = Object.entries(data).filter(([key]) => key !== 'event' && key !== 'timestamp');
  return rest.map(([key, value]) => `${key}=${text(value)}`).join(' ').slice(0, CONTENT_MAX);
};

const shorten = (raw) =>
  raw.length > RAW_MAX ? { raw: raw.slice(0, RAW_MAX), cut: raw.length } : { raw, cut: 0 };

const keep = (entry) => {
  list.waiting.push(entry);
  if (list.waiting.length > ROWS_MAX) list.waiting.shift();
  list.timer ||= setTimeout(render, RENDER_MS);
};

const keepEvent = (name, event, raw) => {
  list.total += 1;
  // What was there before this connection says nothing about the rate now.
  if (!(text(event.time) < stream.helloTime)) list.perSecond[list.perSecond.length - 1] += 1;
  const { time, source, phase, cursor } = event;
  keep({ name, time, source: text(source), phase: text(phase), cursor, content: contentOf(event.data), ...shorten(raw) });
};

const keepNotice = (time, words, raw) => keep({ notice: words, name: 'notice', time, ...shorten(raw) });

const rowOf = (entry) => {
  const button = element('button', entry.notice ? 'row notice' : 'row', '');
  button.type = 'button';
  // One stop for Tab, not two hundred: arrow keys do the rest.
  button.tabIndex = -1;
  const phase = element('span', 'phase', entry.phase ?? '');
  phase.dataset.phase = (entry.phase ?? '').toLowerCase().replace(/\..*/, '');
  const name = element('span', 'name', entry.name);
  name.dataset.name = entry.name;
  button.append(element('span', 'time', clock(entry.time)), ...(entry.notice
    ? [element('span', 'content', entry.notice)]
    : [name, element('span', 'source', entry.source || '–'), phase, element('span', 'content', entry.content)]));
  list.events.set(button, entry);
  const item = document.createElement('li');
  item.append(button);
  return item;
};

/** A row that somebody is about to click or is reading by keyboard must not move away under them. */
const isHeldStill = () => {
  const events = byId('events');
  return (matchMedia('(hover: hover)').matches && events.matches(':hover') && events.childElementCount > 0)
    || events.querySelector(':focus-visible') !== null;
};

const render = () => {
  list.timer = 0;
  if (isHeldStill()) {
    list.timer = setTimeout(render, RENDER_MS);
    return showCount();
  }
  const events = byId('events');
  const heightBefore = events.scrollHeight;
  events.prepend(...list.waiting.splice(0).reverse().map(rowOf));
  // Whoever has scrolled down to read keeps the place.
  if (events.scrollTop > 0) events.scrollTop += events.scrollHeight - heightBefore;
  while (events.childElementCount > ROWS_MAX) events.lastElementChild.remove();
  showCount();
};

const showCount = () => {
  const rate = list.perSecond.reduce((sum, count) => sum + count, 0) / list.perSecond.length;
  const parts = [`${number.format(list.total)} event${list.total === 1 ? '' : 's'}`, `${rate.toFixed(rate < 100 ? 1 : 0)}/s`];
  if (list.gaps) parts.push(`${list.gaps} gap${list.gaps === 1 ? '' : 's'}`);
  if (list.waiting.length && isHeldStill()) parts.push(`held still, ${list.waiting.length === ROWS_MAX ? `${ROWS_MAX}+` : list.waiting.length} new`);
  byId('count').textContent = parts.join(' · ');
};

const clear = () => {
  Object.assign(list, { waiting: [], total: 0, gaps: 0, perSecond: [0] });
  byId('events').replaceChildren();
  showCount();
};

const moveFocus = (key) => {
  const rows = [...byId('events').querySelectorAll('.row')];
  const at = rows.indexOf(document.activeElement);
  const target = { ArrowDown: at + 1, ArrowUp: Math.max(at - 1, 0), Home: 0, End: rows.length - 1 }[key];
  if (target === undefined) return false;
  rows[Math.min(target, rows.length - 1)]?.focus();
  return true;
};

// ---- one event in full

/** Indents JSON token by token. Parsing it would change the numbers that a double cannot hold. */
const indent = (raw) => {
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  const tokens = raw.match(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  return tokens.map((token, place) => {
    if (token === '{' || token === '[') {
      depth += 1;
      return '}]'.includes(tokens[place + 1] ?? ' ') ? token : token + line();
    }
    if (token === '}' || token === ']') {
      depth = Math.max(depth - 1, 0);
      return '{['.includes(tokens[place - 1] ?? ' ') ? token : line() + token;
    }
    if (token === ',') return token + line();
    if (token === ':') return ': ';
    // The broker writes ASCII; people read glyphs.
    return token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : token;
  }).join('');
};

const openDetail = ({ name, cursor, raw, cut }) => {
  byId('detail-title').textContent = [name, cursor].filter(Boolean).map(text).join(' ');
  let shown = raw;
  try {
    shown = cut ? `${raw}\n\n… the first ${number.format(RAW_MAX)} of ${number.format(cut)} characters` : indent(raw);
  } catch { /* not JSON after all: as it came */ }
  byId('detail-json').textContent = shown;
  byId('detail').showModal();
  byId('detail-json').scrollTop = 0;
};

// ---- the connection

const stream = {
  source: null, state: 'connecting', cursor: null, query: '', attempt: 0, failures: 0, heardMs: 0,
  keepaliveMs: KEEPALIVE_MS.usual, retryMs: RETRY_MS.usual, retryAtMs: 0, retryTimer: 0, helloTime: '',
};

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
  const [words, whenEmpty] = STATES[state];
  byId('connection').dataset.state = state;
  byId('connection-text').textContent = words;
  byId('empty').textContent = whenEmpty;
  byId('pause').textContent = state === 'paused' ? 'Resume' : 'Pause';
  showCountdown();
};

const showCountdown = () => {
  const isWaiting = stream.state === 'waiting' || stream.state === 'farewell';
  const seconds = Math.max(Math.ceil((stream.retryAtMs - Date.now()) / 1000), 1);
  byId('countdown').textContent = isWaiting ? `in ${seconds} s` : '';
};

const note = (words) => { byId('note').textContent = words; };

const filtersQuery = () => {
  const form = new FormData(byId('filters'));
  // Heartbeats drive the ring, listed or not.
  const query = new URLSearchParams({ dialect: 'plain', topics: [...new Set([...form.getAll('topics'), 'heartbeat'])].join() });
  for (const name of ['module', 'phase']) if (form.get(name).trim()) query.set(name, form.get(name).trim());
  return query.toString();
};

const streamUrl = () => `/stream?${stream.query}&from=${encodeURIComponent(stream.cursor ?? `-${ROWS_MAX}`)}`;

// The browser's own retry neither tells when it comes nor notices a dead connection: every source is used once.
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
  const source = new EventSource(streamUrl());
  stream.source = source;
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

const lose = async (source) => {
  const isRefused = source.readyState === EventSource.CLOSED;
  disconnect();
  const attempt = stream.attempt;
  const refusal = isRefused ? await askWhy() : null;
  // Paused or filtered anew while the question was under way.
  if (attempt !== stream.attempt) return;
  if (refusal) note(refusal.words);
  if (refusal?.isFinal) show('refused');
  else backOff();
};

/** An EventSource never says why it was refused. A plain request for the same is told. */
const askWhy = async () => {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), KEEPALIVE_MS.usual);
  try {
    const answer = await fetch(streamUrl(), { headers: { Accept: 'text/event-stream' }, signal: abort.signal });
    if (answer.ok) return null;
    const isFinal = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
    return { words: `Refused: ${await problemOf(answer)}`, isFinal };
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
};

const CONTROL = {
  hello: (event) => {
    stream.failures = 0;
    stream.keepaliveMs = Math.max(Number(event.keepalive_ms) || KEEPALIVE_MS.usual, KEEPALIVE_MS.min);
    stream.retryMs = Math.max(Number(event.retry_ms) || RETRY_MS.usual, RETRY_MS.min);
    stream.helloTime = text(event.time);
    note(event.recovered === false ? 'Connected again, but part of what happened meanwhile is gone.' : '');
    show('live');
    showBreath(event.data);
  },
  keepalive: () => {},
  gap: (event, raw) => {
    list.gaps += 1;
    const words = `Gap: events after ${text(event.from)} up to ${text(event.to)} are gone (${text(event.reason)}).`;
    note(words);
    keepNotice(event.time, words, raw);
    // What is gone need not be asked for again.
    if (typeof event.to === 'string') stream.cursor = event.to;
  },
  farewell: (event, raw) => {
    const words = `Farewell: the broker closed this stream (${text(event.reason)}).`;
    note(words);
    keepNotice(event.time, words, raw);
    retry('farewell', Math.max(Number(event.retry_ms) || stream.retryMs, RETRY_MS.min));
  },
};

const parse = (raw) => {
  try {
    const parsed = JSON.parse(raw);
    if (typeof parsed === 'object' && parsed) return parsed;
  } catch { /* shown as it came */ }
  return { data: raw };
};

const hear = ({ type, data: raw, lastEventId }) => {
  stream.heardMs = Date.now();
  if (lastEventId) stream.cursor = lastEventId;
  const event = parse(raw);
  if (Object.hasOwn(CONTROL, type)) return CONTROL[type](event, raw);
  if (type === 'heartbeat') showBreath(event.data?.state);
  const isAsked = type !== 'heartbeat' || byId('filters').querySelector('[value=heartbeat]').checked;
  if (isAsked) keepEvent(type, event, raw);
};

/** A connection can be dead and open at once: a proxy that left, a laptop that slept. Silence tells. */
const watch = (nowMs) => {
  const silentMs = nowMs - stream.heardMs;
  if (!stream.source || silentMs <= 2 * stream.keepaliveMs) return;
  note(`Nothing was heard for ${Math.round(silentMs / 1000)} s.`);
  backOff();
};

const applyFilters = () => {
  const query = filtersQuery();
  if (query === stream.query && stream.state !== 'refused') return;
  Object.assign(stream, { query, cursor: null, failures: 0 });
  note('');
  clear();
  if (stream.state !== 'paused') connect();
};

const togglePause = () => {
  if (stream.state === 'paused') return connect();
  disconnect();
  show('paused');
};

// ---- posting and copying

const problemOf = async (answer) => {
  const problem = parse(await answer.text());
  const words = [problem.title, problem.detail].filter(Boolean).map(text).join(': ') || answer.statusText;
  return `${answer.status} ${words.slice(0, CONTENT_MAX)}${problem.code ? ` (${text(problem.code)})` : ''}`;
};

const post = async (form) => {
  const body = JSON.stringify(Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim())));
  const request = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body, signal: AbortSignal.timeout(10_000) };
  const answer = await fetch('/glints', request);
  if (!answer.ok) throw new Error(await problemOf(answer));
  const receipt = parse(await answer.text());
  return `Taken as ${text(receipt.cursor)} (${text(receipt.durability)}), ${text(receipt.listeners)} listening. Id ${text(receipt.id)}`;
};

const showReceipt = async (form) => {
  const receipt = byId('receipt');
  const outcome = await post(form).then((words) => [words, 'good'], (err) => [`Not posted. ${err.message}`, 'bad']);
  [receipt.textContent, receipt.dataset.outcome] = outcome;
};

const copy = async (source, button) => {
  // Browsers hide the clipboard from pages without TLS; what is selected can be copied by hand.
  const isCopied = await Promise.resolve(navigator.clipboard?.writeText(source.textContent).then(() => true)).catch(() => false);
  if (!isCopied) getSelection().selectAllChildren(source);
  button.textContent = isCopied ? 'Copied' : 'Selected';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
};

const fillExamples = () => {
  for (const code of document.querySelectorAll('.example code')) {
    const origin = code.textContent.includes('ws://') ? location.origin.replace(/^http/, 'ws') : location.origin;
    code.textContent = code.textContent.replace(/(http|ws):\/\/127\.0\.0\.1:5056/, () => origin);
    const button = element('button', 'copy', 'Copy');
    button.type = 'button';
    button.setAttribute('aria-label', `Copy the example of ${code.closest('tr').querySelector('th').textContent}`);
    button.addEventListener('click', () => copy(code, button));
    code.after(button);
  }
};

const showVersion = async () => {
  const answer = await fetch('/version').catch(() => null);
  const told = answer?.ok ? parse(await answer.text()) : {};
  byId('version').textContent = typeof told.version === 'string' ? told.version.slice(0, 40) : '';
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

const onSubmit = (id, act) => byId(id).addEventListener('submit', (event) => {
  event.preventDefault();
  act(event.target);
});

drawArcs();
fillExamples();
showVersion();
onSubmit('filters', applyFilters);
onSubmit('glint', showReceipt);
byId('filters').addEventListener('change', applyFilters);
byId('pause').addEventListener('click', togglePause);
byId('clear').addEventListener('click', clear);
byId('detail-close').addEventListener('click', () => byId('detail').close());
byId('detail-copy').addEventListener('click', ({ target }) => copy(byId('detail-json'), target));
byId('detail').addEventListener('click', ({ target }) => target === byId('detail') && target.close());
byId('events').addEventListener('click', ({ target }) => {
  const entry = list.events.get(target.closest('.row'));
  if (entry) openDetail(entry);
});
byId('events').addEventListener('keydown', (event) => moveFocus(event.key) && event.preventDefault());
addEventListener('online', () => stream.state === 'waiting' && connect());
setInterval(tick, 1000);
applyFilters();
