// The part of GET /status?probe=TOKEN that runs in the owner's browser where
// slipway cannot ask its own web server as clients do, because the site speaks
// TLS or a proxy is in front. It makes the same requests as src/probe/doctor_*.c
// and adds a row for each check.
// The program carries this file in itself and writes it into that page.
//
// Text from outside enters as textContent only.

const SIZES = [100 * 1024, 2 ** 20, 8 * 2 ** 20];
const SLOW_MS = 500; // a body that takes longer shows whether it is streamed
const TYPES = ['multipart/form-data; boundary=b', 'application/octet-stream',
  'application/offset+octet-stream', 'application/partial-upload'];
const [FORM, OCTETS, TUS] = TYPES;
const REFUSALS = [401, 403, 404];

const api = (below) => `${location.pathname}${below}${location.search}`;

// In place of what slipway does not know of the same check.
function add(verdict, check, why, remedy = '') {
  const table = document.querySelector('table');
  const old = [...table.querySelectorAll('.unknown')].find((row) => row.cells[1].textContent === check);
  const row = table.insertRow(old?.rowIndex ?? -1);
  old?.remove();
  row.className = verdict;
  for (const text of [verdict, check, why, remedy]) {
    row.insertCell().textContent = text;
  }
}

// What /status/echo tells of the request; null if something else answered.
async function echo(method, headers = {}, body = undefined) {
  try {
    const answer = await fetch(api('/echo'), { method, headers, body });
    const seen = answer.ok ? await answer.json() : null;
    return seen?.method === method ? seen : null;
  } catch {
    return null;
  }
}

// A body of this type with so many zeros in it.
function bodyOf(type, size) {
  const zeros = new Uint8Array(size);
  return new Blob(type !== FORM ? [zeros] : [
    '--b\r\nContent-Disposition: form-data; name="file"; filename="probe"\r\n\r\n', zeros, '\r\n--b--\r\n',
  ]);
}

async function get(url) {
  try {
    const answer = await fetch(url, { cache: 'no-store' });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  } catch {
    return { status: 0, headers: new Map(), text: '' };
  }
}

// Whether the web shows, at any of urls, a file that holds secret.
async function checkSecret(check, urls, secret, remedy) {
  const answers = await Promise.all(urls.map(get));
  if (answers.some(({ text }) => text.includes(secret))) {
    add('wrong', check, `The web can read ${urls[0]}.`, remedy);
  } else if (answers.every(({ status }) => REFUSALS.includes(status))) {
    if (urls.length) add('fine', check, `The web server refuses to show ${urls[0]}.`);
  } else {
    add('unknown', check, `${urls[0]} answers ${answers[0].status}.`, remedy);
  }
}

// The fields of safe header fields that headers lack.
function unsafe(headers) {
  const wanted = {
    'X-Content-Type-Options': /\bnosniff\b/i,
    'Content-Security-Policy': /\bsandbox\b/i,
    'Content-Disposition': /^attachment\b/i,
  };
  return Object.keys(wanted).filter((name) => !wanted[name].test(headers.get(name) ?? ''));
}

async function checkStatic(witness) {
  const { status, headers, text } = await get(witness.static);
  if (status !== 200 || text !== witness.content) {
    add('wrong', 'static files', `The uploads directory is not at ${witness.static}: ${status}.`,
      'Serve it there, or correct [uploads] url and directory.');
    return;
  }
  const lost = unsafe(headers);
  if (lost.length) {
    add('wrong', 'static files',
      `The uploads directory is served without header fields for files of strangers: ${lost.join(', ')}.`,
      'Take the lines for it from the example configuration of your web server.');
  } else if ((await get(`${witness.static}/page.pdf`)).text === witness.content) {
    add('wrong', 'static files', 'Each FILE is served under FILE/page.pdf as well, with the header fields for that name.',
      'Switch path info off: AcceptPathInfo Off for Apache, static-file.disable-pathinfo = enable for lighttpd.');
  } else {
    add('fine', 'static files', 'The uploads directory is served, with safe header fields.');
  }
}

async function checkDownload(witness) {
  const { status, text } = await get(api(`/file/${witness.name}`));
  if (status === 200 && text === witness.content) {
    add('fine', 'downloads', 'A file arrives when it is downloaded.');
  } else {
    add('wrong', 'downloads', `A file does not arrive when it is downloaded: ${status}.`,
      'Correct [download] offload, or set it to none.');
  }
}

const post = (type, size) => echo('POST', { 'Content-Type': type }, bodyOf(type, size));

// As octets, or where a firewall refuses these, in forms.
async function checkSize() {
  const type = await post(OCTETS, 1) ? OCTETS : FORM;
  let most = null;
  for (const size of SIZES) {
    const start = performance.now();
    const seen = await post(type, size);
    if (!(seen?.received >= size)) {
      add('wrong', 'largest body', `Requests of ${size / 1024} KiB do not get through` +
        (most ? `, those of ${most.size / 1024} KiB do.` : '.'),
      'Raise the limit of the web server, or send large files in smaller pieces.');
      break;
    }
    most = { size, took: performance.now() - start, waited: seen.waited_ms };
  }
  if (most?.size === SIZES.at(-1)) {
    add('fine', 'largest body', `Requests of ${most.size / 1024} KiB arrive whole.`);
  }
  return most;
}

function checkStreaming(most) {
  if (!most || most.took < SLOW_MS) {
    add('unknown', 'streaming', 'This connection is too fast to see it.');
  } else if (most.waited > most.took / 3) {
    add('fine', 'streaming', 'Uploads reach slipway while they arrive.');
  } else {
    add('wrong', 'streaming', 'The web server gathers uploads before slipway sees them.',
      'Send large files in pieces, as resumable clients can.');
  }
}

// Which of list slipway does not see, by test.
async function missing(list, test) {
  const seen = await Promise.all(list.map(test));
  return list.filter((_, i) => !seen[i]).join(', ');
}

async function checkMethods() {
  const lost = await missing(['PUT', 'PATCH', 'DELETE', 'OPTIONS'], (method) => echo(method));
  if (!lost) {
    add('fine', 'methods', 'PUT, PATCH, DELETE and OPTIONS reach slipway.');
    return;
  }
  const seen = await echo('POST', { 'X-HTTP-Method-Override': 'PATCH', 'Content-Type': TUS }, bodyOf(TUS, 1));
  add('wrong', 'methods', `These methods do not reach slipway: ${lost}.`,
    seen?.override === 'PATCH'
      ? 'Have tus clients override methods (overridePatchMethod).'
      : 'Upload by forms alone (POST /upload/ID).');
}

async function checkTypes() {
  const lost = await missing(TYPES, async (type) => (await post(type, 1))?.type === type);
  if (lost) {
    add('wrong', 'content types', `These do not reach slipway: ${lost}.`,
      'Let the firewall allow them for slipway, or upload by forms alone.');
  } else {
    add('fine', 'content types', 'Forms, octet streams and those of tus and the IETF draft reach slipway.');
  }
}

async function checkAuthorization() {
  const seen = await echo('GET', { Authorization: 'Bearer probe' });
  if (!seen) {
    add('unknown', 'Authorization', 'A request with this header field got no answer from slipway.');
  } else if (seen.authorization) {
    add('fine', 'Authorization', 'The header field is passed on to slipway.');
  } else {
    add('wrong', 'Authorization', 'The web server keeps this header field from slipway.',
      'Set CGIPassAuth On, or take the .htaccess that comes with slipway.');
  }
}

async function newWitness() {
  try {
    const answer = await fetch(api('/file/'), { method: 'POST' });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

async function withWitness() {
  const witness = await newWitness();
  if (!witness) {
    add('unknown', 'static files', 'A file to look at could not be made: POST does not get through.');
    return;
  }
  await checkSecret('data on the web', witness.data, witness.content,
    'Let [storage] data name a directory outside of the document root.');
  await checkSecret('settings on the web', witness.settings, new URLSearchParams(location.search).get('probe'),
    'Take the .htaccess that comes with slipway, or move the file; then change probe_token.');
  await checkStatic(witness);
  await checkDownload(witness);
  // Where DELETE does not get through, slipway removes it in a minute.
  await fetch(api(`/file/${witness.name}`), { method: 'DELETE' }).catch(() => {});
}

await withWitness();
checkStreaming(await checkSize());
await checkMethods();
await checkTypes();
await checkAuthorization();
document.querySelector('#state').textContent = 'Your browser has asked in its place: see below.';
