// What a front server lets through, as probes: each uses a running server and
// gives what is seen of one feature in a word or two. best is what the feature
// should be; lib/exceptions.json has the servers that cannot, and why. The
// table in README.md is made of both, and tests/e2e/front.test.mjs holds every
// server to it.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import net from 'node:net';

import { acceptJson, Sender, unchanged, picture } from './e2e.mjs';
import { Connection, head, json } from './http.mjs';
import { apiBase } from './server.mjs';
import { sleep, waitFor } from './wait.mjs';

const MIB = 1 << 20;
const LARGE = 161 * MIB;
const SOON = 1500; // milliseconds

const newId = () => `feature_${crypto.randomUUID()}`;

const put = (server, id, length, headers = []) => new Sender(server, {
  path: `${apiBase}/upload/feature.bin`, headers: [['Upload-Id', id], ...headers], length,
});

async function progress(server, id) {
  const answer = await server.request({
    path: `${apiBase}/progress/${id}`, headers: [acceptJson],
  });
  return answer.status === 200 ? json(answer) : {};
}

const receiving = (server, id) => waitFor('the upload to be seen',
  async () => (await progress(server, id)).state === 'receiving', { timeout: SOON })
  .then(() => true, () => false);

// What promise gives, or undefined after so long.
const within = (promise, ms = SOON) => Promise.race([promise, sleep(ms)]);

// Is an upload seen while half of it has arrived?
async function seesProgress(server, length) {
  const id = newId();
  const data = Buffer.alloc(2 * MIB);
  const sender = put(server, id, length ? data.length : undefined);
  await sender.send(data.subarray(0, MIB));
  const seen = await waitFor('half of it',
    async () => (await progress(server, id)).loaded >= MIB / 2, { timeout: 2 * SOON })
    .then(() => true, () => false);
  await sender.trickle(data.subarray(MIB), MIB, 0);
  const answer = await sender.ended;
  sender.close();
  if (answer?.status !== 201) return `no: ${answer?.status}`;
  assert.equal(json(answer).files[0].size, data.length);
  return seen ? 'yes' : 'at the end';
}

// Does the first event come before the last?
async function seesEvents(server) {
  const id = newId();
  await server.request({
    method: 'POST', path: `${apiBase}/upload`, headers: [['Tus-Resumable', '1.0.0'],
      ['Upload-Length', '10'], ['Upload-Id', id]],
  });
  const socket = net.connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(head({
    path: `${apiBase}/progress/${id}`, headers: [['Accept', 'text/event-stream']],
  }));
  const first = new Promise((resolve) => {
    let text = '';
    socket.on('data', (data) => {
      text += data;
      if (text.includes('event: progress')) resolve('yes');
    });
  });
  const seen = await within(first);
  socket.destroy();
  await server.request({ method: 'POST', path: `${apiBase}/cancel/${id}` });
  return seen ?? 'at the end';
}

// When does the sender of a cancelled upload hear of it? Where more than three
// seconds pass before it sends more, mod_proxy_fcgi says 503: then once more.
async function cancels(server, isAgain = false) {
  const before = await picture(server);
  const id = newId();
  const sender = put(server, id, 8 * MIB);
  const block = Buffer.alloc(64 * 1024);
  await sender.send(block);
  if (!await receiving(server, id)) {
    sender.close();
    await unchanged(server, before);
    return 'no';
  }
  const answer = await server.request({
    method: 'POST', path: `${apiBase}/cancel/${id}`, headers: [acceptJson],
  });
  assert.equal(answer.status, 200);
  await unchanged(server, before, 0);
  const heard = await hears(sender, block, 8 * MIB);
  if (heard.answer?.status === 503 && !isAgain) return cancels(server, true);
  assert.equal(heard.answer?.status, 409);
  return heard.when;
}

// When the refusal of an upload that is still being sent arrives.
async function hears(sender, block, length) {
  let answer = await within(sender.ended);
  let when = 'at once';
  if (!sender.over) {
    await sender.send(block);
    answer = await within(sender.ended, 4 * SOON);
    when = 'with more bytes';
  }
  if (!sender.over) {
    while (sender.sent < length && !sender.over) {
      await Promise.race([sender.send(block), sender.ended]);
    }
    answer = await sender.ended;
    when = 'at the end';
  }
  sender.close();
  return { answer, when };
}

async function refuses(server) {
  const block = Buffer.alloc(64 * 1024);
  const length = 8 * MIB;
  const sender = new Sender(server, {
    path: `${apiBase}/upload/feature.bin`, length, headers: [['Content-Encoding', 'gzip']],
  });
  await sender.trickle(block, 8 * 1024, 20);
  const { answer, when } = await hears(sender, block, length);
  assert.equal(answer?.status, 415);
  return when;
}

// Interim answers. The server under test has them switched on.
async function interim(server) {
  const connection = new Connection(server.port);
  await connection.send(head({
    method: 'POST', path: `${apiBase}/upload`,
    headers: [['Upload-Draft-Interop-Version', '8'], ['Upload-Complete', '?1'],
      ['Content-Type', 'application/octet-stream'], ['Content-Length', '5']],
  }));
  await connection.send('bytes');
  const answer = await connection.response('POST', { timeout: 4 * SOON }).catch(() => null);
  connection.close();
  const passed = answer?.status === 201 || answer?.status === 200;
  if (passed && answer.interim.some(({ status }) => status === 104)) return 'yes';
  return passed ? 'dropped' : 'breaks answers';
}

// What a resumable upload has, after a slow connection broke in the middle.
async function resumes(server) {
  const created = await server.request({
    method: 'POST', path: `${apiBase}/upload`,
    headers: [['Tus-Resumable', '1.0.0'], ['Upload-Length', 8 * MIB]],
  });
  assert.equal(created.status, 201, created.body.toString());
  const path = new URL(created.headers.get('location'), `http://127.0.0.1:${server.port}`).pathname;
  const sender = new Sender(server, {
    method: 'PATCH', path, length: 8 * MIB,
    headers: [['Tus-Resumable', '1.0.0'], ['Upload-Offset', 0],
      ['Content-Type', 'application/offset+octet-stream']],
  });
  const sent = 20 * 10000;
  await sender.trickle(Buffer.alloc(sent), 10000, 20);
  await sleep(100);
  sender.close();
  await sleep(500);
  const state = await server.request({
    method: 'HEAD', path, headers: [['Tus-Resumable', '1.0.0']],
  });
  const offset = Number(state.headers.get('upload-offset'));
  await server.request({ method: 'DELETE', path, headers: [['Tus-Resumable', '1.0.0']] });
  assert.ok(offset <= sent);
  if (offset === sent) return 'every byte';
  return offset === 0 ? 'nothing' : `${offset} of ${sent} bytes`;
}

// Who sends a download: slipway is stopped, or gone, while its bytes are read.
async function handsOver(server) {
  const data = crypto.randomBytes(24 * MIB);
  const stored = json(await server.request({
    method: 'PUT', path: `${apiBase}/upload/${encodeURIComponent('große Datei.bin')}`,
    headers: [acceptJson], body: data,
  })).files[0];
  const socket = net.connect(server.port, '127.0.0.1');
  socket.write(head({ path: stored.download }));
  await new Promise((resolve) => { socket.once('readable', resolve); });
  const workers = server.workers();
  workers.forEach((pid) => process.kill(pid, 'SIGSTOP'));
  const pieces = [];
  const all = (async () => { for await (const piece of socket) pieces.push(piece); return true; })();
  const handed = await within(all, 2 * SOON);
  workers.forEach((pid) => process.kill(pid, 'SIGCONT'));
  await all;
  const bytes = Buffer.concat(pieces);
  assert.ok(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4).equals(data), 'the file is whole');
  await server.request({ method: 'DELETE', path: stored.delete });
  return handed ? 'yes' : 'no';
}

// The largest body: slipway's own refusal of 4 EiB shows that the server has
// no limit. One that does not ask slipway before the end has to show what it
// takes.
async function largest(server) {
  const sender = new Sender(server, { path: `${apiBase}/upload/l`, length: 2 ** 62 });
  await sender.send(Buffer.alloc(64 * 1024));
  await within(sender.ended);
  await sender.send(Buffer.alloc(64 * 1024));
  const early = await within(sender.ended);
  sender.close();
  if (early) return [413, 507].includes(early.status) ? 'no limit' : `no: ${early.status}`;
  const answer = await server.request({
    method: 'PUT', path: `${apiBase}/upload/l`, headers: [acceptJson],
    body: Buffer.alloc(LARGE), timeout: 60000,
  });
  if (answer.status !== 201) return `no: ${answer.status}`;
  await server.request({ method: 'DELETE', path: json(answer).files[0].delete });
  return 'over 160 MiB';
}

// probe gives what is seen; config: ini values that it needs.
export const features = [
  { name: 'progress while the bytes arrive', best: 'yes', probe: (s) => seesProgress(s, true) },
  { name: 'body without a length (chunked)', best: 'yes', probe: (s) => seesProgress(s, false) },
  { name: 'progress as events', best: 'yes', probe: seesEvents },
  { name: 'a cancelled sender hears of it', best: 'at once', probe: cancels },
  { name: 'a refused sender hears of it', best: 'at once', probe: refuses },
  { name: 'kept of an upload that broke', best: 'every byte', probe: resumes },
  { name: 'the server sends downloads', best: 'yes', probe: handsOver },
  { name: 'largest body', best: 'no limit', probe: largest },
  {
    name: '`interim = on` (104)', best: 'yes', probe: interim, config: { 'upload.interim': 'on' },
  },
];
