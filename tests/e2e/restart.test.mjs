// slipway is told to leave, or is replaced, while it is at work.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import {
  acceptJson, checkStore, fast, multipart, picture, Sender, unchanged,
} from '../lib/e2e.mjs';
import { testsOf } from '../lib/every_server.mjs';
import { json } from '../lib/http.mjs';
import { alive } from '../lib/processes.mjs';
import { apiBase, binary, Server } from '../lib/server.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);

test('SIGTERM during uploads: all end in time, nothing stays', async (t) => {
  const server = await Server.start({ config: fast });
  t.after(() => server.stop());
  const before = await picture(server);
  const [worker] = server.workers();
  const { type, body } = multipart([{ name: 'f', filename: 'f', data: Buffer.alloc(100000) }]);
  const slow = [
    new Sender(server, { path: `${apiBase}/upload/a`, headers: [['Upload-Id', 'sigterm-put']], length: 100000 }),
    new Sender(server, {
      method: 'POST', path: `${apiBase}/upload?upload_id=sigterm-form`, headers: [['Content-Type', type]],
      length: body.length,
    }),
  ];
  const quick = new Sender(server, { path: `${apiBase}/upload/b`, length: 10000 });
  const sending = [slow[0].trickle(Buffer.alloc(100000), 100, 50), slow[1].trickle(body, 100, 50)];
  const quickly = quick.trickle(Buffer.alloc(10000), 500, 50); // about a second
  await waitFor('all to be receiving', () => fs.readdirSync(server.incoming).length === 3);

  const started = Date.now();
  process.kill(worker, 'SIGTERM');
  await waitFor('the process to leave', () => !alive(worker), { timeout: 8000 });
  t.diagnostic(`the process left after ${Date.now() - started} ms`);
  await quickly;
  const finished = await quick.ended;
  assert.equal(finished?.status, 201, 'an upload that ends soon is answered');
  for (const sender of slow) {
    const answer = await sender.ended;
    assert.ok(sender.endedAt - started < 8000, 'the sender waits no longer than the process');
    t.diagnostic(`a slow sender got ${answer ? answer.status : 'a closed connection'}`);
    if (answer) assert.equal(answer.status, 503, answer.body.toString());
  }
  await Promise.all(sending);
  const [file] = json(finished).files;
  await unchanged(server, {
    uploads: [...before.uploads, file.id], incoming: before.incoming, rows: before.rows + 1,
  });
  await waitFor('the next process', async () => (
    await server.request({ path: `${apiBase}/status` })).status === 200);
  for (const id of ['sigterm-put', 'sigterm-form']) {
    const state = json(await server.request({ path: `${apiBase}/progress/${id}` }));
    assert.equal(state.state, 'failed');
  }
  [...slow, quick].forEach((sender) => sender.close());
});

test('SIGTERM without work: the process leaves at once', async (t) => {
  const server = await Server.start({ config: fast });
  t.after(() => server.stop());
  const [worker] = server.workers();
  process.kill(worker, 'SIGTERM');
  await waitFor('the process to leave', () => !alive(worker), { timeout: 1000 });
});

test('a new executable takes over without a failed request', async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-bin-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  fs.chmodSync(dir, 0o755);
  const bin = path.join(dir, 'slipway');
  fs.copyFileSync(binary, bin);
  const server = await Server.start({ config: fast, bin });
  t.after(() => server.stop());
  const [old] = server.workers();
  let over = false;
  const statuses = [];
  const load = async (name) => {
    while (!over) {
      const answer = await server.request({
        method: 'PUT', path: `${apiBase}/upload/${name}`, headers: [acceptJson], body: 'light load',
      }).catch(() => null);
      statuses.push(answer?.status ?? 'closed');
      if (answer?.status !== 201) t.diagnostic(`${answer?.body}\n${server.log()}`);
      await sleep(25);
    }
  };
  const loads = [load('a'), load('b')];
  fs.copyFileSync(binary, `${bin}.new`);
  fs.renameSync(`${bin}.new`, bin);
  try {
    await waitFor('the new process', () => {
      const workers = server.workers();
      return !alive(old) && workers.length >= 1 && !workers.includes(old);
    }, { timeout: 10000 });
    await waitFor('an answer of the new process', async () => (
      await server.request({ path: `${apiBase}/status` })).status === 200);
  } finally {
    over = true;
    await Promise.all(loads);
  }
  const failed = statuses.filter((status) => status !== 201);
  t.diagnostic(`${statuses.length} requests, failed: ${JSON.stringify(failed)}`);
  await checkStore(server);
  assert.deepEqual(failed, []);
});
