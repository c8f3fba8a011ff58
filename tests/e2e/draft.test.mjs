// What clients are told of an upload that goes on: of its lifetime, and those of the
// IETF's draft by interim answers (104), which only lighttpd passes on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import http2 from 'node:http2';
import test from 'node:test';

import { acceptJson, fast, isProblem, Sender } from '../lib/e2e.mjs';
import { ietf, offsetOf } from '../lib/resumable.mjs';
import { apiBase, Server } from '../lib/server.mjs';
import { waitFor } from '../lib/wait.mjs';

const MIB = 1 << 20;
const draft = ietf(8);
const server = await Server.start({ config: { ...fast, 'upload.interim': 'on' } });
test.after(() => server.stop());

const ask = (method, target, headers = []) => server.request({
  method, path: target, headers: [acceptJson, ...draft.always, ...headers],
});

async function create(size) {
  const answer = await ask('POST', `${apiBase}/upload`, draft.creation('draft.bin', size, false, false));
  assert.equal(answer.status, 201, answer.body.toString());
  return answer.headers.get('location');
}

const append = (target, length, headers = []) => new Sender(server, {
  method: 'PATCH', path: target, headers: [...draft.always, ...draft.append(0, true), ...headers], length,
});

// The offsets that a request was told so far.
const told = (sender) => sender.connection.interim.map(offsetOf).filter((n) => n !== undefined);

test('an offset that was told in between is not lost, even when slipway is killed', async () => {
  const size = 400 * MIB;
  const target = await create(size);
  const sender = append(target, size);
  const data = Buffer.alloc(size);
  const sending = sender.trickle(data, MIB, 20);
  await waitFor('some bytes to be told', () => told(sender).some((n) => n > 0), { timeout: 10000 });
  for (const pid of server.workers()) process.kill(pid, 'SIGKILL');
  sender.close();
  await sending;
  const highest = Math.max(...told(sender));
  let answer;
  await waitFor('slipway to be back', async () => {
    answer = await ask('HEAD', target);
    return answer?.status === 204;
  });
  assert.ok(offsetOf(answer) >= highest, `told ${highest}, kept ${offsetOf(answer)}`);
  await ask('DELETE', target);
});

// HTTP/2 knows no capitals in the names of fields, and lighttpd leaves them.
test('HTTP/2 gets interim answers', async () => {
  const session = http2.connect(`http://127.0.0.1:${server.port}`);
  const fields = Object.fromEntries([...draft.always, ...draft.creation('two.txt', 5, true, true)]);
  const stream = session.request({ ':method': 'POST', ':path': `${apiBase}/upload`, 'content-length': 5, ...fields });
  const interim = [];
  stream.on('headers', (headers) => interim.push(headers));
  const answered = new Promise((resolve, reject) => { stream.on('response', resolve).on('error', reject); });
  stream.end('hello');
  const answer = await answered;
  stream.resume();
  session.close();
  assert.equal(answer[':status'], 201);
  assert.ok(interim.some((headers) => headers[':status'] === 104
    && headers['upload-draft-interop-version'] === '8' && /\/upload\//.test(headers.location)));
});

test('of an append with a digest nothing is told before its end', async () => {
  const data = crypto.randomBytes(2 * MIB);
  const target = await create(data.length);
  const sender = append(target, data.length,
    [['Content-Digest', `sha-256=:${crypto.createHash('sha256').digest('base64')}:`]]);
  await sender.trickle(data, 64 << 10, 80);
  const answer = await sender.ended;
  isProblem(answer, 400, 'digest-mismatch');
  assert.deepEqual(told(sender), []);
  assert.equal(offsetOf(answer), 0, 'where the client can go on');
  assert.equal(offsetOf(await ask('HEAD', target)), 0);
});

// As if nothing had happened to the upload for an hour.
const age = (target) => execFileSync('sqlite3', ['-cmd', '.timeout 5000', server.database,
  `UPDATE upload SET updated_at = updated_at - 3600000 WHERE id = '${target.split('/').at(-1)}'`]);

test('Upload-Expires of a refused append is true', async () => {
  const tus = (method, target, headers) => server.request({ method, path: target, headers: [['Tus-Resumable', '1.0.0'], ...headers] });
  const target = (await tus('POST', `${apiBase}/upload`, [['Upload-Length', '5']])).headers.get('location');
  age(target);
  const refused = await tus('PATCH', target, [['Upload-Offset', '3'], ['Content-Type', 'application/offset+octet-stream']]);
  assert.equal(refused.status, 409);
  const { headers } = await tus('HEAD', target, []);
  assert.equal(refused.headers.get('upload-expires'), headers.get('upload-expires'));
});

test('Upload-Limit has the lifetime that is left', async () => {
  const target = await create(5);
  const maxAge = async () => Number(/max-age=(\d+)/.exec((await ask('HEAD', target)).headers.get('upload-limit'))[1]);
  const whole = await maxAge();
  age(target);
  const left = await maxAge();
  assert.ok(left <= whole - 3600 && left > whole - 3660, `${left} of ${whole}`);
});
