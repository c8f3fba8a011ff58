// A final upload that is too large to be put together within the request: the
// answer comes all the same, says nothing that is not so yet, and the file is
// there in the end, whoever asks.
import assert from 'node:assert/strict';

import { acceptJson, fast, sha256 } from '../lib/e2e.mjs';
import { testsOf } from '../lib/every_server.mjs';
import { json } from '../lib/http.mjs';
import { apiBase, Server } from '../lib/server.mjs';
import { waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
const size = 640 << 20; // twice of it takes longer than half a second to copy and digest
const tus = ['Tus-Resumable', '1.0.0'];

const server = await Server.start({ config: fast });
test.after(() => server.stop());

const send = (method, target, headers = [], body = undefined) => server.request({
  method, path: target, headers: [tus, ...headers], body, timeout: 60000,
});

test('a large final upload goes on behind its answer', async () => {
  const part = await send('POST', `${apiBase}/upload`, [['Upload-Concat', 'partial'],
    ['Upload-Length', String(size)], ['Content-Type', 'application/offset+octet-stream'],
  ], Buffer.alloc(size, 'x'));
  assert.equal(part.status, 201);
  const url = part.headers.get('location');
  const list = [['Upload-Concat', `final;${url} ${url}`]];
  const started = Date.now();
  const made = await send('POST', `${apiBase}/upload`, list, '');
  assert.equal(made.status, 201);
  assert.ok(Date.now() - started < 3000, `the answer took ${Date.now() - started} ms`);
  const final = made.headers.get('location');

  const early = await send('HEAD', final);
  assert.equal(early.status, 200);
  assert.equal(early.headers.get('upload-offset'), undefined, 'it is not whole yet');
  assert.equal(early.headers.get('upload-length'), String(2 * size));
  const again = await send('POST', `${apiBase}/upload`, list, '');
  assert.equal(again.headers.get('location'), final, 'the same final upload');
  const id = final.split('/').at(-1);
  const progress = () => server.request({ path: `${apiBase}/progress/${id}`, headers: [acceptJson] });
  assert.equal(json(await progress()).state, 'receiving');

  await waitFor('the file', async () => json(await progress()).state === 'stored', { timeout: 60000 });
  const whole = await send('HEAD', final);
  assert.equal(whole.headers.get('upload-offset'), String(2 * size));
  const [file] = json(await progress()).files;
  assert.equal(file.size, 2 * size);
  assert.equal(file.sha256, sha256(Buffer.alloc(2 * size, 'x')));
  assert.equal((await send('HEAD', url)).headers.get('upload-offset'), String(size), 'of the part');
});
