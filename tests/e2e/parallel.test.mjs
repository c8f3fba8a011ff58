// Many clients at once: fast ones, slow ones, silent ones and those that leave.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import {
  acceptJson, ageHomes, checkStore, command, fast, iniOf, isProblem, multipart, picture, random,
  seedOf, Sender, sha256, unchanged,
} from '../lib/e2e.mjs';
import { PATIENCE, gathers, hears, rounds, testsOf } from '../lib/every_server.mjs';
import { head, json } from '../lib/http.mjs';
import { apiBase, binary, Server } from '../lib/server.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
const MIB = 1 << 20;
const server = await Server.start({ config: { ...fast, 'upload.idle_timeout': '20s' } });
test.after(() => server.stop());

const put = (name, body, headers = []) => server.request({
  method: 'PUT', path: `${apiBase}/upload/${name}`, headers: [acceptJson, ...headers], body, timeout: 60000,
});

// A form of one file; extra are fields of it.
function formOf(filename, data) {
  const { type, body } = multipart([{ name: 'file', filename, data }]);
  return { body, headers: [['Content-Type', type]] };
}

const post = (filename, data) => {
  const { body, headers } = formOf(filename, data);
  return server.request({
    method: 'POST', path: `${apiBase}/upload`, headers: [acceptJson, ...headers], body, timeout: 60000,
  });
};

async function remove(files) {
  for (const file of files) {
    assert.equal((await server.request({ method: 'DELETE', path: file.delete })).status, 204);
  }
}

test('50 uploads of 1 to 5 MiB at once', async (t) => {
  const seed = seedOf();
  t.diagnostic(`SEED=${seed}`);
  const chance = random(seed);
  const contents = Array.from({ length: 50 }, () => (
    crypto.randomBytes(MIB + Math.floor(chance() * 4 * MIB))));
  const answers = await Promise.all(contents.map((data, i) => (
    i % 2 ? put(`p${i}.bin`, data) : post(`p${i}.bin`, data))));
  const files = answers.map((answer, i) => {
    assert.equal(answer.status, 201, answer.body.toString());
    const [file] = json(answer).files;
    assert.equal(file.size, contents[i].length);
    assert.equal(file.sha256, sha256(contents[i]));
    return file;
  });
  assert.equal(new Set(files.map(({ id }) => id)).size, 50);
  const back = await Promise.all(files.map((file) => server.request({ path: file.url, timeout: 60000 })));
  back.forEach((answer, i) => assert.ok(answer.body.equals(contents[i]), files[i].name));
  assert.equal((await checkStore(server)).length, 50);
  await remove(files);
  await checkStore(server);
});

test('200 slow clients do not hold up fast ones, and finish', async (t) => {
  const pieces = 40; // at four bytes, five times a second
  const slow = Array.from({ length: 200 }, (_, i) => {
    const data = Buffer.from(`${String(i).padStart(4, '0')}`.repeat(pieces));
    const { body, headers } = i % 2 ? { body: data, headers: [] } : formOf(`slow${i}`, data);
    const sender = new Sender(server, {
      method: i % 2 ? 'PUT' : 'POST', path: `${apiBase}/upload${i % 2 ? `/slow${i}` : ''}`,
      headers: i % 4 < 2 ? [...headers, ['Upload-Id', `slow_client_${i}`]] : headers,
      length: body.length,
    });
    // The head of a form goes in one piece, so that all last as long.
    const lead = body.length - data.length - (i % 2 ? 0 : 31);
    const sending = (async () => {
      if (lead > 0) await sender.send(body.subarray(0, lead));
      await sender.trickle(body.subarray(Math.max(lead, 0)), 4, 200);
    })();
    return { sender, sending, data };
  });
  // A home that is a moment old may be empty, and not yet held.
  const held = () => fs.readdirSync(server.incoming)
    .filter((name) => fs.readdirSync(path.join(server.incoming, name)).length > 0).length;
  await waitFor('all slow ones to be received', () => gathers || held() === 200);
  ageHomes(server); // however old they look, they are held
  const gc = await command('gc', '--config', iniOf(server));
  assert.equal(gc.code, 0, gc.stderr);
  const times = [];
  for (let i = 0; i < 20; i++) {
    const data = crypto.randomBytes(1000 + i);
    const started = Date.now();
    const answer = await (i % 2 ? put(`fast${i}`, data) : post(`fast${i}`, data));
    times.push(Date.now() - started);
    assert.equal(answer.status, 201, answer.body.toString());
    assert.equal(json(answer).files[0].sha256, sha256(data));
  }
  t.diagnostic(`fast uploads took ${times.sort((a, b) => a - b).join(' ')} ms`);
  assert.equal(held(), gathers ? 0 : 200, 'the slow ones were at work all the time');
  assert.ok(times.at(-1) < PATIENCE, `a fast upload took ${times.at(-1)} ms`);
  let cut = 0;
  for (const { sender, sending, data } of slow) {
    await sending;
    const answer = await sender.ended;
    if (answer?.status === 201) assert.equal(json(answer).files[0].sha256, sha256(data));
    else cut++;
    sender.close();
  }
  assert.equal(cut, 0, 'slow clients were cut');
  assert.equal((await checkStore(server)).length, 220);
});

test('of 20 clients that leave in the middle nothing stays after 2 s', async () => {
  const before = await picture(server);
  const data = Buffer.alloc(300000, 'gone');
  const senders = Array.from({ length: 20 }, (_, i) => {
    const { body, headers } = i % 2 ? { body: data, headers: [] } : formOf(`gone${i}`, data);
    const id = i % 4 < 2 ? [['Upload-Id', `client_gone_${i}`]] : [];
    const sender = new Sender(server, {
      method: i % 2 ? 'PUT' : 'POST', path: `${apiBase}/upload${i % 2 ? '/gone' : ''}`,
      headers: [...headers, ...id], length: body.length,
    });
    sender.send(body.subarray(0, 10000 * (i + 1)));
    return sender;
  });
  await waitFor('all to be received',
    () => gathers || fs.readdirSync(server.incoming).length === before.incoming.length + 20);
  senders.forEach((sender) => sender.close());
  await unchanged(server, before, 2000);
});

test('a client that says nothing is given up', async (t) => {
  const strict = await Server.start({ config: { ...fast, 'upload.idle_timeout': '1s' } });
  t.after(() => strict.stop());
  const before = await picture(strict);
  const { body, headers } = formOf('silent', 'x'.repeat(1000));
  const senders = [
    new Sender(strict, { path: `${apiBase}/upload/a`, length: 1000 }),
    new Sender(strict, { path: `${apiBase}/upload/a`, headers: [['Upload-Id', 'silent_put']], length: 1000 }),
    new Sender(strict, { method: 'POST', path: `${apiBase}/upload`, headers, length: body.length }),
    new Sender(strict, {
      method: 'POST', path: `${apiBase}/upload`, headers: [...headers, ['Upload-Id', 'silent_form']],
      length: body.length,
    }),
  ];
  // One says nothing at all, the others stop in the middle.
  for (const sender of senders.slice(1)) await sender.send(body.subarray(0, 300));
  const patient = new Sender(strict, { path: `${apiBase}/upload/patient`, length: 20 });
  const patience = patient.trickle(Buffer.from('slow but never silent'.slice(0, 20)), 5, 600);
  const started = Date.now();
  for (const sender of hears(false) ? senders : []) {
    const problem = isProblem(await sender.ended, 408, 'timeout');
    assert.equal(problem.limit, 'idle_timeout');
    assert.equal(problem.limit_value, 1);
    const took = sender.endedAt - started;
    assert.ok(took >= 900 && took < 3000, `after ${took} ms`);
  }
  await patience;
  const answer = await patient.ended;
  assert.equal(answer?.status, 201, 'a slow client is not a silent one');
  await strict.request({ method: 'DELETE', path: json(answer).files[0].delete });
  await unchanged(strict, before);
  const took = Date.now() - started;
  assert.ok(took < 4000, `all was over after ${took} ms`);
  for (const id of ['silent_put', 'silent_form']) {
    const state = json(await strict.request({ path: `${apiBase}/progress/${id}` }));
    assert.deepEqual([state.state, state.error], ['failed', 'timeout']);
  }
  [...senders, patient].forEach((sender) => sender.close());
  assert.deepEqual(strict.crashes(), []);
});

test('of ten uploads with one id one is stored', async () => {
  const before = await picture(server);
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => (
      put('same', `content ${i}`, [['Upload-Id', `same_id_${round}`]]))));
    const [first, ...more] = answers.filter(({ status }) => status === 201);
    assert.ok(first && more.length === 0, answers.map(({ status }) => status).join(' '));
    answers.filter((answer) => answer !== first).forEach((answer) => isProblem(answer, 409, 'id-in-use'));
    const [file] = json(first).files;
    assert.equal(file.sha256, sha256(`content ${answers.indexOf(first)}`));
    await remove([file]);
  }
  await unchanged(server, before);
});

test('a cancel that meets the end of an upload wins or loses, never both', async (t) => {
  const before = await picture(server);
  const results = { stored: 0, cancelled: 0 };
  for (let i = 0; i < rounds(80); i++) {
    const id = `race_with_end_${i}`;
    const sender = new Sender(server, {
      path: `${apiBase}/upload/race`, headers: [['Upload-Id', id]], length: 2000,
    });
    await sender.send(Buffer.alloc(1000));
    await waitFor('it to begin', async () => (
      await server.request({ path: `${apiBase}/progress/${id}` })).status === 200, { every: 1 });
    sender.send(Buffer.alloc(1000));
    const cancel = await server.request({ method: 'POST', path: `${apiBase}/cancel/${id}` });
    const answer = await sender.ended;
    sender.close();
    const { state } = json(await server.request({ path: `${apiBase}/progress/${id}` }));
    assert.ok(state === 'stored' || state === 'cancelled', state);
    results[state]++;
    if (state === 'stored') {
      isProblem(cancel, 409, 'finished');
      assert.equal(answer?.status, 201);
      await remove(json(answer).files);
    } else {
      assert.equal(cancel.status, 200);
      assert.notEqual(answer?.status, 201);
    }
  }
  t.diagnostic(JSON.stringify(results));
  await unchanged(server, before);
});

test('of eight deletes of one file one succeeds', async () => {
  const before = await picture(server);
  for (let i = 0; i < 10; i++) {
    const [file] = json(await put('d', 'x')).files;
    const answers = await Promise.all(Array.from({ length: 8 }, () => (
      server.request({ method: 'DELETE', path: file.delete }))));
    const statuses = answers.map(({ status }) => status).sort();
    assert.deepEqual(statuses, [204, ...Array(7).fill(404)]);
    assert.equal((await server.request({ path: file.download })).status, 404);
    assert.equal((await server.request({ path: file.url })).status, 404);
  }
  await unchanged(server, before);
});

test('a delete does not break a running download', async () => {
  const content = crypto.randomBytes(24 * MIB);
  const [file] = json(await put('long.bin', content)).files;
  const socket = net.connect(server.port, '127.0.0.1');
  const chunks = [];
  socket.write(head({ path: file.download }));
  await new Promise((resolve) => {
    socket.once('readable', resolve);
  });
  assert.equal((await server.request({ method: 'DELETE', path: file.delete })).status, 204);
  assert.equal((await server.request({ path: file.download })).status, 404);
  for await (const chunk of socket) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const start = bytes.indexOf('\r\n\r\n') + 4;
  assert.ok(bytes.subarray(start).equals(content), `${bytes.length - start} of ${content.length} bytes`);
});

test('with few descriptors some wait or are refused, and all recovers', async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'slipway-few-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  fs.chmodSync(dir, 0o755);
  const bin = path.join(dir, 'slipway');
  fs.writeFileSync(bin, `#!/bin/sh\nulimit -n 60\nexec ${binary} "$@"\n`, { mode: 0o755 });
  const few = await Server.start({ config: { ...fast, 'upload.idle_timeout': '20s' }, bin });
  t.after(() => few.stop());
  const before = await picture(few);
  const senders = Array.from({ length: 80 }, (_, i) => new Sender(few, {
    path: `${apiBase}/upload/few`, headers: [['Upload-Id', `few_descriptors_${i}`]], length: 2000,
  }));
  for (const sender of senders) sender.send(Buffer.alloc(1000));
  await waitFor('many to be received', () => fs.readdirSync(few.incoming).length >= 5);
  await sleep(500); // the rest meets the limit
  for (const sender of senders) sender.send(Buffer.alloc(1000));
  const statuses = {};
  for (const sender of senders) {
    const answer = await sender.ended;
    const status = answer?.status ?? 'closed';
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (answer && status >= 400) assert.ok(status >= 500, answer.body.toString());
    if (status === 201) {
      const gone = () => few.request({ method: 'DELETE', path: json(answer).files[0].delete });
      await waitFor('the delete', async () => [204, 404].includes((await gone()).status));
    }
    sender.close();
  }
  t.diagnostic(JSON.stringify(statuses));
  assert.ok(statuses[201] >= 5);
  assert.equal((await few.request({ path: `${apiBase}/status` })).status, 200);
  const left = fs.readdirSync(few.incoming);
  t.diagnostic(`${left.length} homes left for the sweeper`);
  ageHomes(few);
  await command('gc', '--config', iniOf(few));
  await unchanged(few, before, 0);
  assert.deepEqual(few.crashes(), []);
});

test('slipway stayed up, and its threads and descriptors leave again', async (t) => {
  assert.deepEqual(server.crashes(), []);
  for (const worker of server.workers()) {
    const descriptors = fs.readdirSync(`/proc/${worker}/fd`).length;
    assert.ok(descriptors < 40, `${descriptors} descriptors are open`);
    const threads = () => fs.readdirSync(`/proc/${worker}/task`).length;
    t.diagnostic(`${threads()} threads after the load`);
    await waitFor('idle threads to leave', () => threads() <= 12, { timeout: 30000, every: 200 });
  }
  await server.stop();
});
