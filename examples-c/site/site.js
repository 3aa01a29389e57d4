'use strict';

const $ = id => document.getElementById(id);
const make = (name, more, ...inside) => {
  const element = Object.assign(document.createElement(name), more);
  element.append(...inside);
  return element;
};

/* The same server under its other name, which makes it another origin. */
const other = `http://${location.hostname === 'localhost' ? '127.0.0.1' : 'localhost'}:${location.port}`;
$('other').textContent = other;

const json = { 'Content-Type': 'application/json' }, form = { 'Content-Type': 'application/x-www-form-urlencoded' };
const large = 'x'.repeat(100000);

/* Subject -> rows: method, target, what it is about, and more for fetch(). */
const rows = {
  routes: [
    ['GET', '/hello/Ada%20Lovelace', 'A parameter: its segment, decoded once.'],
    ['GET', '/rest/docs/a%2Fb.txt', 'The rest of a path. An escaped slash stays inside its segment.'],
    ['GET', '/search?q=fast+http&tag=c&tag=python', 'A query: the first value by name, or all of them.'],
    ['POST', '/echo', 'JSON there and back; members keep their order.', { headers: json, body: '{"name": "Ada", "languages": ["en", "fr"]}' }],
    ['POST', '/greet', 'A form, as a browser sends it.', { headers: form, body: 'name=Ada+Lovelace&city=London' }],
    ['GET', '/visits', 'A cookie that counts. It is HttpOnly and SameSite=Lax unless you say otherwise.'],
    ['DELETE', '/visits', 'The cookie is deleted; 204 has no body.'],
    ['GET', '/old', 'A redirect, which your browser follows.'],
    ['GET', '/whoami', 'Your request as the handler sees it.'],
    ['HEAD', '/whoami', 'Answered from GET, without the body.'],
    ['OPTIONS', '/visits', 'Answered from the routes.'],
    ['GET', '/members/me', 'Middleware asks for a token: 401.'],
    ['GET', '/members/me', 'With the token, a value passes from the middleware to the handler.', { headers: { Authorization: 'Bearer open-sesame' } }],
  ],
  files: [
    ['GET', '/public/notes/', 'A folder without an index is listed.'],
    ['GET', '/public/notes/alpha.txt', 'Bytes 2 to 5 of a file: 206.', { headers: { Range: 'bytes=2-5' } }],
    ['GET', '/public/notes/alpha.txt', 'Nothing to send where you have it already: 304.', { headers: { 'If-None-Match': '*' } }],
    ['GET', '/public/..%2f..%2fsite.c', 'Out of the folder leads no way.'],
    ['GET', '/words', '100 KB of text. Your browser takes gzip, so it travels as a few hundred bytes.'],
  ],
  upload: [
    ['POST', '/measure', 'A handler that reads the body while it arrives, 100 KB here, in constant memory.', { body: large, hidden: true }],
  ],
  streams: [
    ['GET', '/countdown', 'Five pieces in a chunked answer, one every 200 ms.', { stream: true }],
    ['GET', '/slow', 'A handler that sleeps for a second. Send others meanwhile.'],
    ['GET', '/forgotten', 'An exchange nobody finishes: after its second the server gives 504.'],
  ],
  origins: [
    ['GET', '/open/greeting', 'Open to all: a page may read it.', { across: true }],
    ['PUT', '/open/greeting', 'A method and a field that need a preflight, which the server answers by itself.',
      { across: true, headers: { 'X-Reason': 'to see a preflight' } }],
    ['GET', '/open/nowhere', 'An error answer can be read as well.', { across: true }],
    ['GET', '/open/greeting', 'With credentials: what is open to all is not open to your cookies.', { across: true, credentials: 'include' }],
    ['GET', '/trusting/greeting', 'With credentials, from an origin on the list.', { across: true, credentials: 'include' }],
    ['DELETE', '/trusting/greeting', 'A method that this policy does not name: the preflight ends it.', { across: true }],
    ['GET', '/whoami', 'Below no policy: it is answered, but this page cannot read it.', { across: true }],
  ],
  limits: [
    ['POST', '/echo', 'JSON that is malformed: 400, with line and column.', { headers: json, body: '{\n  "name": Ada\n}' }],
    ['GET', '/nowhere', 'No route and no file: 404.'],
    ['PUT', '/visits', 'A path known under other methods: 405, with Allow.'],
    ['POST', '/small', 'A body beyond its limit, 100 KB where 64 KiB are allowed: 413.', { body: large, hidden: true }],
    ['GET', '/fail', 'A handler that fails: 500, and the connection lives on.'],
  ],
};

/* ---- the answer ---- */

let latest = 0, busy = false;

function show(line, kind, note = '', took = '') {
  $('line').textContent = line;
  $('line').className = kind;
  $('note').textContent = note;
  $('note').hidden = !note;
  $('took').textContent = took;
}

function fields(headers) {
  const pairs = [...headers].flatMap(([name, value]) => [make('dt', { textContent: name }), make('dd', { textContent: value })]);
  $('head').replaceChildren(...pairs);
}

/* The answer as text, as it stands on the page. */
function shown() {
  const lines = [...document.querySelectorAll('#head dt')].map(name => `${name.textContent}: ${name.nextSibling.textContent}\n`);
  return lines.join('') + $('body').textContent;
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

async function read(answer, current, streaming, since) {
  if (!streaming) return pretty(await answer.text());
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let all = '';
  for (let piece; current() && !(piece = await reader.read()).done;) {
    all += `${since().padStart(9)}   ${piece.value.trimEnd()}\n`;
    $('body').textContent = all;
  }
  return all;
}

async function send(method, target, { across, stream, hidden, ...options } = {}) {
  const mine = ++latest, current = () => mine === latest, start = performance.now();
  const since = () => `${(performance.now() - start).toFixed(1)} ms`;
  const url = across ? other + target : target;
  busy = true;
  show(`${method} ${url}`, 'busy');
  fields([]);
  $('body').textContent = '';
  $('answer').classList.add('open');
  try {
    const answer = await fetch(url, { cache: 'no-store', method, ...options });
    if (!current()) return;
    const kind = answer.status < 400 ? 'good' : answer.status < 500 ? 'warn' : 'bad';
    const note = answer.redirected ? `after a redirect to ${new URL(answer.url).pathname}` : across ? 'This page may read it.' : '';
    show(`${answer.status} ${answer.statusText}`, kind, note, since());
    fields(answer.headers);
    const text = await read(answer, current, stream, since);
    if (!current()) return;
    $('body').textContent = text;
    $('took').textContent = since();
  } catch (error) {
    const why = across ? 'No policy of the server lets this page have it that way.' : `${error}`;
    if (current()) show('Refused by your browser', 'bad', why, since());
  } finally {
    if (current()) busy = false;
  }
}

/* ---- the rows ---- */

for (const [subject, list] of Object.entries(rows)) {
  for (const [method, target, about, more = {}] of list) {
    const where = make('input', { className: 'target', value: target, ariaLabel: 'Target', spellcheck: false, autocomplete: 'off' });
    const row = make('form', {}, make('span', { className: `method ${method}`, textContent: method }), where, make('button', { textContent: 'Send' }));
    const shown = { ...more.headers };
    if (more.credentials) shown.credentials = more.credentials;
    delete shown['Content-Type'];
    for (const [name, value] of Object.entries(shown)) row.append(make('div', { className: 'fields', textContent: `${name}: ${value}` }));
    const text = more.body === undefined || more.hidden ? null :
      make('textarea', { value: more.body, ariaLabel: 'Body', rows: more.body.split('\n').length, spellcheck: false });
    if (text) row.append(text);
    row.append(make('p', { textContent: about }));
    row.onsubmit = event => {
      event.preventDefault();
      send(method, where.value, text ? { ...more, body: text.value } : more);
    };
    document.querySelector(`#${subject} .rows`).append(row);
  }
}

/* ---- one subject at a time ---- */

function choose() {
  const wanted = rows[location.hash.slice(1)] ? location.hash : '#routes';
  for (const section of document.querySelectorAll('main section')) section.hidden = `#${section.id}` !== wanted;
  for (const link of document.querySelectorAll('nav a')) {
    if (link.hash === wanted) link.ariaCurrent = 'true'; else link.removeAttribute('aria-current');
  }
}
for (const link of document.querySelectorAll('nav a')) {
  link.onclick = event => { event.preventDefault(); history.replaceState(null, '', link.hash); choose(); };
}
window.onhashchange = choose;
choose();

/* On a telephone the answer covers half of the page: there it waits to be asked for. */
if (matchMedia('(min-width: 56rem)').matches) document.querySelector('.rows form').requestSubmit();
$('close').onclick = () => $('answer').classList.remove('open');

/* ---- uploads ---- */

const chosen = $('chosen'), upload = $('form');
const told = () => [...chosen.files].map(file => file.name).join(', ') || 'Choose files, or drop them here';
chosen.onchange = () => { $('picked').textContent = told(); };
upload.ondragover = event => { event.preventDefault(); upload.classList.add('over'); };
upload.ondragleave = () => upload.classList.remove('over');
upload.ondrop = event => {
  event.preventDefault();
  upload.classList.remove('over');
  chosen.files = event.dataTransfer.files;
  chosen.onchange();
};
upload.onsubmit = async event => {
  event.preventDefault();
  await send('POST', '/upload', { body: new FormData(upload) });
  let answer;
  try { answer = JSON.parse($('body').textContent); } catch { return; }
  const cells = file => [file.name, file.type, file.bytes.toLocaleString('en'), file.kept].map(value => make('td', { textContent: value }));
  $('received').hidden = !answer.files?.length;
  $('received').tBodies[0].replaceChildren(...(answer.files ?? []).map(file => make('tr', {}, ...cells(file))));
};

/* ---- the rate limit ---- */

$('knock').onclick = async () => {
  $('knock').disabled = true;
  $('knocks').replaceChildren();
  let last;
  for (let i = 0; i < 12; i++) {
    last = await fetch('/limited', { cache: 'no-store' });
    await last.text();
    $('knocks').append(make('li', { textContent: last.status, className: last.ok ? 'yes' : 'no' }));
  }
  const wait = last.headers.get('Retry-After');
  show(`${last.status} ${last.statusText}`, last.ok ? 'good' : 'warn', wait ? `Room for the next in ${wait} s.` : '');
  fields(last.headers);
  $('body').textContent = '';
  $('answer').classList.add('open');
  $('knock').disabled = false;
};

/* ---- what the server tells by itself ---- */

const events = new EventSource('/events');
events.onopen = () => $('live').classList.add('on');
events.onerror = () => $('live').classList.remove('on');
events.addEventListener('time', event => {
  const { time, watching, served } = JSON.parse(event.data);
  $('clock').textContent = time;
  $('watching').textContent = watching.toLocaleString('en');
  $('served').textContent = served.toLocaleString('en');
  $('live').classList.remove('tick');
  void $('live').offsetWidth;  /* so that the animation begins anew */
  $('live').classList.add('tick');
});

const units = bytes => bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
const lasted = us => us < 1000 ? `${us} µs` : us < 1e6 ? `${(us / 1e3).toFixed(1)} ms` : `${(us / 1e6).toFixed(2)} s`;
events.addEventListener('access', event => {
  const { time, method, target, status, bytes_out, duration_us } = JSON.parse(event.data);
  const cells = [['at', time.slice(11, 19)], [`method ${method}`, method], ['target', target], [`s${String(status)[0]}`, status], ['us', lasted(duration_us)]];
  document.querySelector('#lines .empty')?.remove();
  const spans = cells.map(([className, textContent]) => make('span', { className, textContent }));
  $('lines').prepend(make('li', { title: `${target}, ${units(bytes_out)}` }, ...spans));
  while ($('lines').children.length > 200) $('lines').lastChild.remove();
});
