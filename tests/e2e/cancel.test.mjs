// Progress and cancel from a second and a third process on the same data
// directory, while an upload streams through the first.
import assert from 'node:assert/strict';

import {
  acceptJson, cgi, fast, iniOf, isProblem, multipart, picture, Sender, startCgi,
  unchanged,
} from '../lib/e2e.mjs';
import { hears, rounds, testsOf } from '../lib/every_server.mjs';
import { Connection, head, json } from '../lib/http.mjs';
import { apiBase, Server } from '../lib/server.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const CANCEL_MS = 1000; // from the request to the end of the upload
const test = testsOf(import.meta.url);
const server = await Server.start({ config: fast, more: ['second'] });
test.after(() => server.stop());

let count = 0;
const newId = () => `upload_${process.pid}_${++count}`;

// The three processes that can be asked.
const ask = {
  first: (method, path) => server.request({ method, path: apiBase + path, headers: [acceptJson] }),
  second: (method, path) => server.request({ method, path: `/second${path}`, headers: [acceptJson] }),
  cgi: (method, path) => cgi(iniOf(server), { method, path, headers: [acceptJson] }),
};

async function progress(id, from = 'first') {
  const answer = await ask[from]('GET', `/progress/${id}`);
  return { status: answer.status, ...(answer.status === 200 ? json(answer) : {}) };
}

const receiving = (id, from) => waitFor(`${id} to be receiving`,
  async () => (await progress(id, from)).state === 'receiving');

const put = (id, length = 1000000) => new Sender(server, {
  path: `${apiBase}/upload/slow.bin`, headers: [['Upload-Id', id]], length,
});

// A form of one file of so many bytes, with its id in a field.
function form(id, length = 1000000) {
  const { type, body } = multipart([
    { name: 'upload_id', value: id },
    { name: 'file', filename: 'slow.bin', data: Buffer.alloc(length, 'x') },
  ]);
  const sender = new Sender(server, {
    method: 'POST', path: `${apiBase}/upload`, headers: [['Content-Type', type]], length: body.length,
  });
  return { sender, body };
}

// Cancels from there while the sender sends, and checks all that must follow.
async function cancelled(id, sender, sending, from, before) {
  const started = Date.now();
  const answer = await ask[from]('POST', `/cancel/${id}`);
  assert.equal(answer.status, 200, answer.body.toString());
  assert.equal(json(answer).state, 'cancelled');
  if (hears(sending !== null)) {
    const over = await sender.ended;
    assert.ok(sender.endedAt - started <= CANCEL_MS,
      `the sender waited ${sender.endedAt - started} ms`);
    if (over) isProblem(over, 409, 'cancelled');
  } else {
    sender.close();
  }
  await sending;
  await unchanged(server, before, 0);
  for (const who of Object.keys(ask)) {
    const state = await progress(id, who);
    assert.equal(state.state, 'cancelled', `${who} says ${JSON.stringify(state)}`);
    assert.ok(state.progress < 1);
    assert.ok(!('files' in state));
  }
  for (const who of Object.keys(ask)) {
    const again = await ask[who]('POST', `/cancel/${id}`);
    assert.equal(again.status, 200, 'cancelling twice is fine');
    assert.equal(json(again).state, 'cancelled');
  }
  sender.close();
}

for (const from of ['first', 'second', 'cgi']) {
  test(`a streaming PUT is cancelled from the ${from} process`, async () => {
    const before = await picture(server);
    const id = newId();
    const sender = put(id);
    const sending = sender.trickle(Buffer.alloc(1000000), 500, 20);
    await receiving(id, from);
    await cancelled(id, sender, sending, from, before);
  });

  test(`a streaming form is cancelled from the ${from} process`, async () => {
    const before = await picture(server);
    const id = newId();
    const { sender, body } = form(id);
    const sending = sender.trickle(body, 500, 20);
    await receiving(id, from);
    await cancelled(id, sender, sending, from, before);
  });
}

test('a silent sender is cancelled', async () => {
  const before = await picture(server);
  const id = newId();
  const sender = put(id);
  await sender.send('a few bytes');
  await receiving(id);
  await cancelled(id, sender, null, 'second', before);
});

test('a fast sender is cancelled', async () => {
  const before = await picture(server);
  const id = newId();
  const sender = put(id, 8 * 2 ** 30);
  const block = Buffer.alloc(1 << 20);
  const flood = async () => { while (!sender.over) await Promise.race([sender.send(block), sender.ended]); };
  const sending = flood();
  await receiving(id, 'second');
  await cancelled(id, sender, sending, 'second', before);
});

test('a cancel that comes while the upload begins is never lost', async () => {
  for (let round = 0; round < rounds(60); round++) {
    const id = newId();
    const sender = put(id);
    sender.send('x');
    let answer;
    do answer = await ask.first('POST', `/cancel/${id}`); while (answer.status === 404);
    assert.equal(answer.status, 200, answer.body.toString());
    assert.equal(json(answer).state, 'cancelled');
    if (hears(false)) await sender.ended;
    sender.close();
  }
});

test('an upload through CGI is seen and cancelled by a FastCGI process', async () => {
  const before = await picture(server);
  const id = newId();
  const upload = startCgi(iniOf(server), {
    method: 'PUT', path: '/upload/slow.bin', length: 1000, headers: [['Upload-Id', id], acceptJson],
  });
  upload.stdin.write(Buffer.alloc(500));
  await receiving(id);
  const started = Date.now();
  const answer = await ask.first('POST', `/cancel/${id}`);
  assert.equal(answer.status, 200);
  assert.ok(Date.now() - started <= CANCEL_MS, `cancel took ${Date.now() - started} ms`);
  await unchanged(server, before, 0);
  upload.stdin.end();
  isProblem(await upload.done, 409, 'cancelled');
  assert.equal((await progress(id)).state, 'cancelled');
});

test('what is stored or failed cannot be cancelled, what is unknown is not found', async () => {
  const id = newId();
  const stored = await server.request({
    method: 'PUT', path: `${apiBase}/upload/a.txt`, headers: [['Upload-Id', id], acceptJson], body: 'text',
  });
  assert.equal(stored.status, 201);
  const before = await picture(server);
  for (const who of Object.keys(ask)) {
    isProblem(await ask[who]('POST', `/cancel/${id}`), 409, 'finished');
    isProblem(await ask[who]('POST', '/cancel/never-heard-of'), 404, 'not-found');
    isProblem(await ask[who]('GET', '/progress/never-heard-of'), 404, 'not-found');
    const state = await progress(id, who);
    assert.equal(state.state, 'stored');
    assert.equal(state.progress, 1);
    assert.equal(state.loaded, 4);
    assert.equal(state.total, 4);
    assert.equal(state.files.length, 1);
    assert.match(state.files[0].url, /^\/_upload\//);
  }
  await unchanged(server, before, 0);
});

test('an id cannot be used twice, whatever became of it', async () => {
  const ids = { stored: newId(), cancelled: newId(), failed: newId(), receiving: newId() };
  await server.request({ method: 'PUT', path: `${apiBase}/upload/a?upload_id=${ids.stored}`, body: 'a' });
  const senders = ['cancelled', 'failed', 'receiving'].map((state) => {
    const sender = put(ids[state]);
    sender.send('some bytes');
    return sender;
  });
  for (const state of ['cancelled', 'failed', 'receiving']) await receiving(ids[state]);
  await ask.second('POST', `/cancel/${ids.cancelled}`);
  senders[1].close();
  await waitFor('the failure', async () => (await progress(ids.failed)).state === 'failed');
  const before = await picture(server);
  for (const [state, id] of Object.entries(ids)) {
    const answer = await server.request({
      method: 'PUT', path: '/second/upload/b', headers: [['Upload-Id', id], acceptJson], body: 'b',
    });
    isProblem(answer, 409, 'id-in-use');
    assert.equal((await progress(id)).state, state, 'the old session is as it was');
  }
  await unchanged(server, before, 0);
  await ask.first('POST', `/cancel/${ids.receiving}`);
  senders.forEach((sender) => sender.close());
});

test('progress rises, stays below 1, and is 1 when stored', async () => {
  const id = newId();
  const size = 60000;
  const sender = put(id, size);
  const sending = sender.trickle(Buffer.alloc(size, 'p'), 1000, 60);
  const seen = [];
  while (!sender.over) {
    for (const who of ['first', 'second']) seen.push(await progress(id, who));
    await Promise.race([sleep(100), sender.ended]);
  }
  await sending;
  assert.equal((await sender.ended)?.status, 201);
  const states = seen.filter(({ status }) => status === 200);
  const live = states.filter(({ state }) => state === 'receiving');
  for (const state of live) {
    assert.ok(state.progress >= 0 && state.progress < 1, JSON.stringify(state));
    assert.equal(state.total, size);
    assert.ok(state.loaded <= size);
  }
  assert.ok(live.every((s, i) => i === 0 || s.loaded >= live[i - 1].loaded), 'it never falls');
  assert.ok(new Set(live.map(({ loaded }) => loaded)).size >= 3, 'it is seen to rise');
  for (const who of Object.keys(ask)) {
    const end = await progress(id, who);
    assert.equal(end.state, 'stored');
    assert.equal(end.progress, 1);
    assert.equal(end.loaded, size);
  }
  sender.close();
});

// Through CGI, since lighttpd gathers a chunked body and announces its length.
test('progress of a body without a length has no total until it is stored', async () => {
  const id = newId();
  const upload = startCgi(iniOf(server), {
    method: 'PUT', path: '/upload/s', headers: [['Upload-Id', id], acceptJson],
  });
  upload.stdin.write('12345');
  await receiving(id);
  const live = await progress(id, 'second');
  assert.equal(live.total, null);
  assert.ok(live.progress < 1);
  upload.stdin.end('67890');
  assert.equal((await upload.done).status, 201);
  const end = await progress(id, 'second');
  assert.deepEqual([end.state, end.loaded, end.total, end.progress], ['stored', 10, 10, 1]);
});

// The data of all events of a stream that ends by itself.
async function events(path, { port } = server) {
  const connection = new Connection(port);
  await connection.send(head({ path, headers: [['Accept', 'text/event-stream']] }));
  const answer = await connection.response('GET', { timeout: 20000 });
  connection.close();
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
  return answer.body.toString().split('\n\n').filter((block) => block && !block.startsWith(':'))
    .map((block) => {
      const [, data] = /^(?:retry: 2000\n)?event: progress\ndata: (.*)$/.exec(block) ?? [];
      assert.ok(data, `not an event: ${block}`);
      return JSON.parse(data);
    });
}

test('events tell of receiving, then of stored', async () => {
  const id = newId();
  const sender = put(id, 30000);
  const sending = sender.trickle(Buffer.alloc(30000), 1000, 80);
  await receiving(id);
  const [here, there] = await Promise.all(
    [events(`${apiBase}/progress/${id}`), events(`/second/progress/${id}`)]);
  await sending;
  for (const seen of [here, there]) {
    assert.equal(seen[0].state, 'receiving');
    assert.ok(seen.slice(0, -1).every(({ state, progress: p }) => state === 'receiving' && p < 1));
    assert.equal(seen.at(-1).state, 'stored');
    assert.equal(seen.at(-1).progress, 1);
    assert.equal(seen.at(-1).files, undefined, 'events stay small');
    assert.ok(seen.length >= 3, `${seen.length} events in about 2.5 s`);
  }
  sender.close();
});

test('the first event comes at once, not at the end', async () => {
  const id = newId();
  const sender = put(id);
  await sender.send('some bytes');
  await receiving(id);
  const text = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no event within 1 s')), 1000);
    import('node:net').then(({ default: net }) => {
      const socket = net.connect(server.port, '127.0.0.1');
      let got = '';
      socket.write(head({ path: `${apiBase}/progress/${id}`, headers: [['Accept', 'text/event-stream']] }));
      socket.on('data', (data) => {
        got += data;
        if (!got.includes('"receiving"')) return;
        clearTimeout(timer);
        socket.destroy();
        resolve(got);
      });
    });
  });
  assert.match(text, /event: progress\ndata: \{/);
  await ask.second('POST', `/cancel/${id}`);
  sender.close();
});

test('streams of events leave half of the threads to others', async (t) => {
  const few = await Server.start({ config: { ...fast, 'server.max_threads': 4 } });
  t.after(() => few.stop());
  const id = 'watched_by_many';
  const path = `${apiBase}/progress/${id}`;
  const sender = new Sender(few, { path: `${apiBase}/upload/w`, headers: [['Upload-Id', id]], length: 10 });
  await sender.send('12345');
  await waitFor('the upload', async () => (await few.request({ path })).status === 200);
  const lasting = [];
  for (let i = 0; i < 2; i++) {
    const { body } = await fetch(`http://127.0.0.1:${few.port}${path}`, { headers: { Accept: 'text/event-stream' } });
    lasting.push(body.getReader());
    await lasting[i].read(); // its first event
  }
  for (let i = 0; i < 3; i++) {
    assert.deepEqual((await events(path, few)).map(({ state }) => state), ['receiving']);
  }
  await sender.send('67890');
  for (const stream of lasting) {
    let last;
    for (let step = await stream.read(); !step.done; step = await stream.read()) last = step.value;
    assert.match(Buffer.from(last).toString(), /"stored"/);
  }
  assert.equal((await events(path, few)).at(-1).state, 'stored');
});

test('events tell of a cancel', async () => {
  const id = newId();
  const sender = put(id);
  await sender.send('some bytes');
  await receiving(id);
  const streams = [events(`${apiBase}/progress/${id}`), events(`/second/progress/${id}`)];
  await ask.cgi('POST', `/cancel/${id}`);
  for (const seen of await Promise.all(streams)) assert.equal(seen.at(-1).state, 'cancelled');
  sender.close();
});

for (const [what, leave] of Object.entries({
  'closes its connection': (sender) => sender.close(),
  'closes its half of the connection': (sender) => sender.connection.end(),
})) {
  test(`nothing stays of a client that ${what} in the middle`, async () => {
    const before = await picture(server);
    const ids = [newId(), newId()];
    const { sender: second, body } = form(ids[1]);
    const senders = [put(ids[0]), second];
    await senders[0].send('some bytes');
    await senders[1].send(body.subarray(0, 5000));
    for (const id of ids) await receiving(id);
    senders.forEach(leave);
    await unchanged(server, before);
    for (const id of ids) {
      await waitFor('the failure to show', async () => (await progress(id, 'second')).state === 'failed');
      for (const who of Object.keys(ask)) {
        const state = await progress(id, who);
        assert.equal(state.state, 'failed');
        assert.ok(['client-gone', 'truncated'].includes(state.error), state.error);
        assert.ok(state.progress < 1);
      }
      isProblem(await ask.second('POST', `/cancel/${id}`), 409, 'finished');
    }
    senders.forEach((sender) => sender.close());
  });
}

test('slipway stayed up', async () => {
  assert.deepEqual(server.crashes(), []);
  await server.stop();
});
