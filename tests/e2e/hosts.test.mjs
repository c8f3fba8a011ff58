// Shared hosts that restrict what comes in: mod_fcgid as it comes, which takes
// 128 KiB at a time, and ModSecurity with OWASP's core rules as Debian has
// them, which lets nothing through but GET and POST of forms. A client that
// knows nothing of the host finds out what gets through, and its upload arrives
// whole, though the connection breaks on the way. The doctor says the same.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';

import { Upload } from 'tus-js-client';

import { KIB, MIB } from '../lib/clients.mjs';
import { acceptJson, multipart, sha256 } from '../lib/e2e.mjs';
import { json } from '../lib/http.mjs';
import { filesBelow } from '../lib/server.mjs';
import { SharedHost } from '../lib/shared_host.mjs';
import { waitFor } from '../lib/wait.mjs';

const SIZE = 100 * MIB;
const token = 'Owner-of_this-site-0';
const ini = `[storage]\ndurability = process\n[access]\nanonymous = upload download list\nprobe_token = ${token}\n`;
const redirecting = `${ini}[download]\noffload = local-redirect\noffload_prefix = /slipway/uploads\n`;

const gathers = /gathers uploads/;
const about128 = /^Requests of more than 12[5-8] KiB do not get through/;
const ruled = {
  methods: [/do not reach slipway: PUT, PATCH, DELETE\.$/, /by forms alone/],
  'content types': [
    /do not reach slipway: application\/octet-stream, application\/offset\+octet-stream, application\/partial-upload\.$/,
    /upload by forms alone/,
  ],
};

// way: the first of the ways that gets through; ill: what the doctor finds
// wrong, [reason, remedy].
const hosts = {
  CGI: {
    options: { programs: ['slipway.cgi'], ini: redirecting }, way: 'tus', ill: {},
  },
  FastCGI: {
    options: { programs: ['slipway.fcgi'], ini },
    way: 'tus, 120 KiB',
    ill: { streaming: [gathers, /^mod_fcgid/], 'largest body': [about128, /FcgidMaxRequestLen.*smaller pieces/] },
  },
  'CGI behind a firewall': {
    options: { programs: ['slipway.cgi'], firewall: true, ini },
    way: 'forms, 12 MiB',
    ill: {
      streaming: [gathers, /SecRequestBodyAccess/],
      'largest body': [/^Requests of more than 12[678]\d\d KiB do not/, /SecRequestBodyLimit.*smaller pieces/],
      ...ruled,
    },
  },
  'FastCGI behind a firewall': {
    options: { programs: ['slipway.fcgi'], firewall: true, ini: redirecting },
    way: 'forms, 120 KiB',
    ill: { streaming: [gathers, /^mod_fcgid/], 'largest body': [about128, /smaller pieces/], ...ruled },
  },
};

async function hostFor(t, name) {
  const host = await SharedHost.start(hosts[name].options);
  t.after(() => host.stop());
  fs.chmodSync(path.join(host.site, 'slipway.ini'), 0o600); // for the token
  return host;
}

// --- Upload by forms ---------------------------------------------------------

function post(host, id, fields, data, options = {}) {
  const parts = Object.entries(fields).map(([name, value]) => ({ name, value: String(value) }));
  if (data) parts.push({ name: 'file', filename: 'blob.bin', data });
  const { type, body } = multipart(parts);
  return host.request({
    method: 'POST', path: `/slipway/upload/${id}`, body,
    headers: [['Content-Type', type], acceptJson], ...options,
  });
}

// The firewall takes every line that begins with two hyphens for a boundary. So
// a piece ends between them.
function pieceOf(data, offset, size) {
  const piece = data.subarray(offset, offset + size);
  if (piece[0] === 0x2d && piece[1] === 0x2d) return piece.subarray(0, 1);
  const line = piece.indexOf('\n--');
  return line < 0 ? piece : piece.subarray(0, line + 2);
}

async function stateOf(host, id) {
  const answer = await post(host, id, { action: 'status' });
  return answer.status === 404 ? { state: 'receiving', offset: 0 } : json(answer);
}

// Throws if a piece is refused. cut: where the connection breaks once.
async function byForms(host, data, size, { id = crypto.randomUUID(), cut = Infinity, fields = {} } = {}) {
  let state = await stateOf(host, id);
  let pieces = 0;
  while (state.state === 'receiving') {
    const { offset } = state;
    const piece = pieceOf(data, offset, size);
    const form = { ...fields, offset, size: data.length };
    if (offset + piece.length > cut) {
      assert.equal(await post(host, id, form, piece, { cut: Math.ceil(piece.length / 2) }), null);
      cut = Infinity;
      state = await stateOf(host, id);
      assert.ok(state.offset >= offset, `${state.offset} after ${offset}`);
      continue;
    }
    const answer = await post(host, id, form, piece);
    if (answer?.status !== 200) throw new Error(`refused: ${answer?.status}`);
    state = json(answer);
    pieces += 1;
  }
  return { file: state.files[0], pieces };
}

// --- Upload by tus -----------------------------------------------------------

// Bytes of uploads that have arrived.
const arrived = ({ data }) => filesBelow(path.join(data, 'incoming'))
  .reduce((sum, name) => sum + fs.statSync(path.join(data, 'incoming', name)).size, 0);

const tus = { 'Tus-Resumable': '1.0.0' };
const patch = (offset) => ({
  ...tus, 'Upload-Offset': offset, 'Content-Type': 'application/offset+octet-stream',
});

// A PATCH of which half is sent before its connection breaks: when something of
// it has arrived, where the host hands it on, or when it is refused.
function broken(host, url, offset, piece, isHandedOn) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1', port: host.port, path: url, method: 'PATCH',
      headers: { Host: 'localhost', 'Content-Length': piece.length, ...patch(offset) },
    });
    let isOver = false;
    request.on('response', (answer) => { isOver = true; answer.resume(); }).on('error', () => { isOver = true; });
    request.write(piece.subarray(0, piece.length / 2), async () => {
      await waitFor('the first bytes', () => isOver || !isHandedOn || arrived(host) > offset).catch(reject);
      request.destroy();
      resolve();
    });
  });
}

// Begins an upload and breaks it at about cut. Gives its URL, and where the
// broken request began.
async function begin(host, data, chunkSize, cut) {
  const made = await host.request({
    method: 'POST', path: '/slipway/upload',
    headers: [...Object.entries(tus), ['Upload-Length', data.length], ['Upload-Metadata', 'filename YmxvYi5iaW4=']],
  });
  if (made.status !== 201) throw new Error(`POST: ${made.status}`);
  const url = made.headers.get('location');
  let offset = 0;
  for (; offset + chunkSize <= cut; offset += chunkSize) {
    const sent = await host.request({
      method: 'PATCH', path: url, headers: Object.entries(patch(offset)),
      body: data.subarray(offset, offset + chunkSize),
    });
    if (sent.status !== 204) throw new Error(`PATCH: ${sent.status}`);
  }
  await broken(host, url, offset, data.subarray(offset, offset + chunkSize), chunkSize === Infinity);
  return { url, offset };
}

// Goes on to the end. Gives where the requests with data began.
function goOn(host, data, chunkSize, url) {
  const offsets = [];
  return new Promise((resolve, reject) => {
    new Upload(data, {
      uploadUrl: `http://127.0.0.1:${host.port}${url}`, chunkSize, headers: { Host: 'localhost' }, retryDelays: null,
      onBeforeRequest(request) {
        if (request.getMethod() === 'PATCH') offsets.push(Number(request.getHeader('Upload-Offset')));
      },
      onSuccess: () => resolve(offsets),
      onError: reject,
    }).start();
  });
}

async function byTus(host, data, chunkSize, { cut }) {
  const { url, offset } = await begin(host, data, chunkSize, cut);
  const [first] = await goOn(host, data, chunkSize, url);
  assert.ok(first > 0 && first >= offset && first <= cut + Math.min(chunkSize, SIZE), `goes on at ${first}, from ${offset}`);
  const id = url.split('/').pop();
  const answer = json(await host.request({ path: `/slipway/progress/${id}`, headers: [acceptJson] }));
  assert.equal(answer.state, 'stored');
  return { file: answer.files[0] };
}

// --- What gets through -------------------------------------------------------

// In the order of preference.
const ways = {
  tus: [byTus, Infinity],
  'tus, 12 MiB': [byTus, 12 * MIB],
  'tus, 120 KiB': [byTus, 120 * KIB],
  'forms, 12 MiB': [byForms, 12 * MIB],
  'forms, 120 KiB': [byForms, 120 * KIB],
};

// The first way that is not refused. Gives its name and the file.
async function upload(host, data, cut) {
  for (const [way, [send, size]] of Object.entries(ways)) {
    try {
      return { way, ...await send(host, data, size, { cut }) };
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
    }
  }
  throw new Error(`nothing gets through:\n${host.log()}`);
}

// The answer to a GET, of which at most so many bytes are read.
function get(host, path, headers = {}, most = Infinity) {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port: host.port, path, headers: { Host: 'localhost', ...headers } }, (answer) => {
      const chunks = [];
      let length = 0;
      const end = () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) });
      answer.on('data', (chunk) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length < most) return;
        answer.destroy();
        end();
      });
      answer.on('end', end).on('error', reject);
    }).on('error', reject);
  });
}

// A download that breaks in the middle and goes on there.
async function downloadTwice(host, path) {
  // Apache's own entity tags hold for a resumption from the second second on.
  await waitFor('a strong tag', async () => (await get(host, path, {}, 1)).headers.etag.startsWith('"'));
  const first = await get(host, path, {}, SIZE / 2);
  assert.equal(first.status, 200);
  const from = first.body.length;
  assert.ok(from < SIZE, 'it broke');
  const rest = await get(host, path, { Range: `bytes=${from}-`, 'If-Range': first.headers.etag });
  assert.equal(rest.status, 206, host.log());
  assert.equal(rest.headers['content-range'], `bytes ${from}-${SIZE - 1}/${SIZE}`);
  return Buffer.concat([first.body, rest.body]);
}

for (const [name, { way }] of Object.entries(hosts)) {
  test(`100 MiB there and back, each with a break: ${name}`, { timeout: 120000 }, async (t) => {
    const host = await hostFor(t, name);
    const data = crypto.randomBytes(SIZE);
    for (const [at, text] of [[0, '---'], [30 * MIB, '\r\n--'], [SIZE - 3, '\n--']]) data.write(text, at);
    const digest = sha256(data);
    const sent = await upload(host, data, SIZE / 2);
    assert.equal(sent.way, way);
    assert.deepEqual([sent.file.name, sent.file.size, sent.file.sha256], ['blob.bin', SIZE, digest]);
    assert.equal(sha256(await downloadTwice(host, sent.file.download)), digest);
  });

  test(`the doctor: ${name}`, async (t) => {
    const host = await hostFor(t, name);
    const answer = await host.request({ path: `/slipway/status?probe=${token}`, headers: [acceptJson], timeout: 60000 });
    const { checks } = json(answer);
    const text = checks.map((one) => Object.values(one).join(' | ')).join('\n');
    const ill = checks.filter(({ verdict }) => verdict !== 'fine');
    assert.deepEqual(ill.map(({ check }) => check), Object.keys(hosts[name].ill), text);
    for (const { check, verdict, why, remedy } of ill) {
      const [reason, cure] = hosts[name].ill[check];
      assert.equal(verdict, 'wrong', text);
      assert.match(why, reason);
      assert.match(remedy, cure);
    }
  });
}

// --- Behind a firewall -------------------------------------------------------

test('what the firewall lets through', async (t) => {
  const host = await hostFor(t, 'CGI behind a firewall');
  const status = async (method, path, headers, body) => (
    await host.request({ method, path: `/slipway${path}`, headers, body })).status;
  for (const method of ['PUT', 'PATCH', 'DELETE']) {
    assert.equal(await status(method, '/upload/whatever', [['Content-Type', 'text/xml']], '<x/>'), 403, method);
  }
  for (const type of ['application/octet-stream', 'application/offset+octet-stream', 'text/plain']) {
    assert.equal(await status('POST', '/upload', [['Content-Type', type]], 'x'), 403, type);
  }
  const names = ['it\'s', 'a;b', 'x.php'];
  for (const filename of [...names, 'Grüße (1) & 100%.txt']) {
    const { type, body } = multipart([{ name: 'file', filename, data: 'x' }]);
    const wanted = names.includes(filename) ? 403 : 201;
    assert.equal(await status('POST', '/upload', [['Content-Type', type]], body), wanted, filename);
  }
  const id = crypto.randomUUID();
  assert.equal((await post(host, id, { offset: 0, size: 9 }, Buffer.from('one\n--two'))).status, 403);
  const { file, pieces } = await byForms(host, Buffer.from('--\n---\n--\r\n--'), 100, { id });
  assert.deepEqual([file.size, pieces], [13, 6]);
  for (const path of ['/', '/status', '/files', '/upload', `/progress/${id}`]) {
    const method = path === '/upload' ? 'OPTIONS' : 'GET';
    assert.equal(await status(method, path), method === 'GET' ? 200 : 204, path);
  }
});

test('where it is, after answers that were lost', async (t) => {
  const host = await hostFor(t, 'FastCGI behind a firewall');
  const id = 'a-random-id-0002';
  const data = Buffer.alloc(200000, 'abcdefg');
  await post(host, id, { title: 'Grüße', offset: 0, size: data.length }, data.subarray(0, 90000));
  const again = await post(host, id, { offset: 0, size: data.length }, data.subarray(0, 90000));
  assert.equal(again.status, 409);
  assert.equal(json(again)['expected-offset'], 90000);
  const status = json(await post(host, id, { action: 'status' }));
  assert.deepEqual([status.state, status.offset, status.total], ['receiving', 90000, 200000]);
  await post(host, id, { offset: 90000, size: data.length }, data.subarray(90000, 190000));
  const last = json(await post(host, id, { offset: 190000, size: data.length }, data.subarray(190000)));
  assert.equal(last.files[0].sha256, sha256(data));
  const repeated = json(await post(host, id, { action: 'status' }));
  assert.equal(repeated.files[0].id, last.files[0].id);
  const details = json(await host.request({ path: `/slipway/files/${last.files[0].id}` }));
  assert.deepEqual(details.metadata, { title: 'Grüße' });
});

test('eight at once, and one that is cancelled', async (t) => {
  const host = await hostFor(t, 'FastCGI behind a firewall');
  const uploads = Array.from({ length: 8 }, (_, i) => crypto.randomBytes(150000 + i));
  const results = await Promise.all(uploads.map((data) => byForms(host, data, 120 * KIB)));
  results.forEach(({ file }, i) => assert.equal(file.sha256, sha256(uploads[i])));
  await post(host, 'to-be-cancelled', { offset: 0, size: 100 }, Buffer.from('some'));
  assert.equal(json(await post(host, 'to-be-cancelled', { action: 'cancel' })).state, 'cancelled');
  assert.equal((await post(host, 'to-be-cancelled', { offset: 4, size: 100 }, Buffer.from('more'))).status, 410);
});

test('OPTIONS and status say what is allowed', async (t) => {
  const host = await hostFor(t, 'FastCGI behind a firewall');
  const status = json(await host.request({ path: '/slipway/status' }));
  assert.ok(status.protocols.includes('form'));
  assert.equal(status.limits.max_file_size, 16 * 2 ** 30);
  const options = await host.request({ method: 'OPTIONS', path: '/slipway/upload' });
  assert.equal(options.status, 204);
  assert.match(options.headers.get('upload-limit'), /max-size=17179869184/);
});
