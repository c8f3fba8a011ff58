// Uploads over a network that misbehaves: connections that are cut, reset, half
// closed, stalled, slow, or hand on one byte at a time.
//
//   SEED=n node --test tests/e2e/rough.test.mjs    repeats a run's choices
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { Agent } from 'node:http';
import path from 'node:path';
import { describe } from 'node:test';

import { DefaultHttpStack, Upload } from 'tus-js-client';

import {
  acceptJson, checkStore, fast, random, seedOf, Sender, sha256,
} from '../lib/e2e.mjs';
import { gathers, hears, rounds, testsOf } from '../lib/every_server.mjs';
import { json } from '../lib/http.mjs';
import { ietf, offsetOf, Resumable, tus } from '../lib/resumable.mjs';
import { RoughProxy } from '../lib/rough.mjs';
import { apiBase, filesBelow, Server } from '../lib/server.mjs';
import { standard } from '../lib/servers.mjs';
import * as sqlite from '../lib/sqlite.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
const KIB = 1 << 10;
const MIB = 1 << 20;
const CHECKPOINT = 16 * MIB;
// What a hung request may cost the next one. The other servers need longer by
// themselves: one starts a program for each request.
const RESUME_MS = standard === 'lighttpd' ? 1000 : 2000;
const LARGEST = 20 * MIB; // of the files
// The network under test: each connection has so many bytes a second. lighttpd
// reads as fast as it can and drops what it has not handed on when the client
// leaves; so what a cut costs tells something about slipway only where the
// network is the slowest part. The others read no faster than slipway.
const RATE = standard === 'lighttpd' ? 8 * MIB : Infinity;
// What a cut may cost, where nothing was killed: what was on its way, which is
// nothing in a quiet moment, and half a second's bytes on a machine that has
// much else to do.
const IN_FLIGHT = gathers ? LARGEST : 4 * MIB;
const HEADS = 2 * KIB; // of one request

const seed = seedOf();
const chance = random(seed);
const below = (n) => Math.floor(chance() * n);
const pick = (list) => list[below(list.length)];

const server = await Server.start({ config: fast, more: ['second'] });
test.after(() => server.stop());
const stored = new Map(); // name -> digest of all that was uploaded
let uploads = 0;
let abandoned = 0; // uploads that their clients could not or would not find again

// A new file of some size: a third each is small, middling and large.
function content() {
  const size = pick([100 * KIB, 2 * MIB, LARGEST]);
  const data = crypto.randomBytes(1 + below(size));
  const name = `rough-${++uploads}.bin`;
  stored.set(name, sha256(data));
  return { name, data };
}

const base64 = (text) => Buffer.from(text).toString('base64');

// --- Cuts --------------------------------------------------------------------

// Where a connection ends that is about to carry so many bytes: mostly amid
// the body, sometimes in the head or in the answer.
function misfortune(bytes, kinds) {
  const where = chance();
  const then = pick(kinds);
  if (where < 0.1) return { up: { rate: RATE }, down: { after: below(250), then } };
  return { up: { rate: RATE, after: where < 0.2 ? below(250) : below(bytes + 300), then } };
}

async function roughUpload(protocol, tally) {
  const { name, data } = content();
  let trouble = 1 + below(8);
  const upload = new Resumable({
    name, data, protocol, patience: RESUME_MS, id: chance() < 0.5 ? `rough_${seed}_${uploads}` : undefined,
    port: () => proxy.port, base: () => pick(['/slipway', '/second']),
    chunk: chance() < 0.3 ? Math.ceil(data.length * (0.1 + chance())) : Infinity,
    first: chance() < 0.3 ? below(data.length) : 0,
    // A request whose end never came is answered in the client's half of the
    // connection; mod_fcgid says 500.
    fromFront: (answer) => [400, 500].includes(answer.status) && proxy.links.at(-1).happened === 'up half',
    onLost: (lost) => tally.costs(proxy.links[lost.number], lost),
  });
  const proxy = await RoughProxy.start(server.port, () => {
    // A lost answer would leave a second upload behind, if its id is not known.
    if (trouble === 0 || (!upload.resource && !upload.options.id)) return { up: { rate: RATE } };
    trouble--;
    const bytes = upload.offset === null ? 0 : data.length - upload.offset;
    return misfortune(bytes, ['close', 'reset', 'half', 'stall']);
  });
  try {
    await upload.run();
    tally.cuts += proxy.misfortunes;
    tally.twice += upload.sent - data.length;
    if (!upload.options.id) abandoned += upload.lostCreations;
    await isStored(upload.resource, data);
  } finally {
    proxy.close();
  }
}

async function isStored(resource, data) {
  const answer = await server.request({ path: apiBase + resource.replace('/upload/', '/progress/') });
  const { state, files } = json(answer);
  assert.equal(state, 'stored', resource);
  assert.equal(files[0].sha256, sha256(data), resource);
}

class Tally {
  cuts = 0;
  twice = 0;
  most = { close: 0, half: 0, stall: 0, reset: 0 };

  // What a request that was cut has cost: bytes of its body that went through
  // the proxy, or left the client, and are to be sent again.
  costs(link, { sent, head, kept, from }) {
    const passed = Math.max(0, link.up.passed - head);
    const then = link.happened?.split(' ')[1] ?? 'stall';
    const context = `from ${from}, passed ${passed}, kept ${kept}, ${link.happened}`;
    assert.ok(kept <= sent + 64 * KIB, `more than was sent: ${context}`);
    assert.ok(passed - kept <= IN_FLIGHT, context);
    assert.ok(gathers || sent - kept <= CHECKPOINT, `sent ${sent} ${context}`);
    this.most[then] = Math.max(this.most[then], passed - kept);
  }

  toString() {
    return `${this.cuts} cuts, ${this.twice} bytes sent twice; most of one cut: ${JSON.stringify(this.most)}`;
  }
}

// Runs uploads, four at a time, until so many connections were cut.
async function untilCut(tally, cuts, one) {
  const worker = async () => {
    while (tally.cuts < cuts) await one();
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

for (const [title, cuts, protocols] of [
  ['tus', rounds(90), [tus]], ['IETF', rounds(60), [3, 5, 6, 7, 8].map(ietf)],
]) {
  test(`${cuts} cuts at random positions, ${title}`, { timeout: 120000 }, async (t) => {
    t.diagnostic(`SEED=${seed}`);
    const tally = new Tally();
    await untilCut(tally, cuts, () => roughUpload(pick(protocols), tally));
    t.diagnostic(`${tally}, ${abandoned} abandoned so far`);
  });
}

test(`${rounds(50)} cuts at random positions, tus-js-client`, { timeout: 120000 }, async (t) => {
  const tally = new Tally();
  await untilCut(tally, rounds(50), async () => {
    const { name, data } = content();
    let trouble = 1 + below(8);
    const urls = new Set();
    const proxy = await RoughProxy.start(server.port, () => {
      // No stalls: it waits for a silent server for ever. No half closing: it
      // takes lighttpd's 400 to half a HEAD for the end of the upload.
      if (urls.size === 0 || trouble === 0) return { up: { rate: RATE } };
      trouble--;
      return misfortune(data.length, ['close', 'reset']);
    });
    try {
      const upload = await new Promise((resolve, reject) => {
        const client = new Upload(data, {
          endpoint: `http://127.0.0.1:${proxy.port}${apiBase}/upload`,
          protocol: pick(['tus-v1', 'ietf-draft-03', 'ietf-draft-05']),
          chunkSize: chance() < 0.3 ? Math.ceil(data.length * (0.1 + chance())) : Infinity,
          metadata: { filename: name },
          retryDelays: Array(20).fill(10),
          // A connection for each request: one that is half closed looks well.
          httpStack: new DefaultHttpStack({ agent: new Agent({ keepAlive: false }) }),
          onShouldRetry: () => true,
          onUploadUrlAvailable() {
            urls.add(client.url);
          },
          onSuccess: () => resolve(client),
          onError: reject,
        });
        client.start();
      });
      tally.cuts += proxy.misfortunes;
      const requests = proxy.links.length + Math.ceil(data.length / upload.options.chunkSize);
      const twice = proxy.passed('up') - data.length - requests * HEADS;
      assert.ok(twice <= proxy.misfortunes * IN_FLIGHT, `${twice} bytes twice`);
      tally.twice += Math.max(0, twice);
      abandoned += urls.size - 1;
      await isStored(new URL(upload.url).pathname.slice(apiBase.length), data);
    } finally {
      proxy.close();
    }
  });
  t.diagnostic(`${tally}, ${abandoned} abandoned so far`);
});

// --- Slow networks -----------------------------------------------------------

describe('slow networks', { concurrency: 3 }, () => {
  for (const [what, plan] of Object.entries({
    'one byte at a time': { up: { piece: 1 }, down: { piece: 1 } },
    'with every byte late': { up: { piece: 1, delay: 1 }, down: { piece: 1, delay: 1 } },
    'in late pieces': { up: { piece: 100, delay: 20 }, down: { piece: 10, delay: 5 } },
  })) {
    test(`uploads through a network that passes bytes ${what}`, { timeout: 60000 }, async () => {
      const proxy = await RoughProxy.start(server.port, () => plan);
      try {
        await Promise.all([tus, ietf(3), ietf(8)].map(async (protocol) => {
          const data = crypto.randomBytes(2000);
          const name = `slow-${++uploads}.bin`;
          stored.set(name, sha256(data));
          const upload = await new Resumable({
            name, data, protocol, port: proxy.port, chunk: 1200, first: 500,
          }).run();
          assert.equal(upload.sent, data.length, 'nothing was sent twice');
          await isStored(upload.resource, data);
        }));
        assert.equal(proxy.misfortunes, 0);
      } finally {
        proxy.close();
      }
    });
  }
});

// --- Hung clients ------------------------------------------------------------

const SIZE = 500000;
const ARRIVED = 300000;

// Wait until slipway has so many bytes of an upload.
async function arrived(id, size) {
  await waitFor(`${size} bytes of ${id}`, async () => {
    const home = await sqlite.value(server.database, `SELECT home FROM upload WHERE id = '${id}'`);
    return home && filesBelow(path.join(server.incoming, home)).some((name) => (
      fs.statSync(path.join(server.incoming, home, name)).size === size));
  });
}

// An upload whose client has sent some bytes and then says nothing more.
async function hungUpload({ protocol = tus, creating = false, extra = [] } = {}) {
  const data = crypto.randomBytes(SIZE);
  const name = `hung-${++uploads}.bin`;
  const id = `hung_${seed}_${uploads}`;
  if (!creating) {
    const answer = await server.request({
      method: 'POST', path: `${apiBase}/upload`,
      headers: [...protocol.always, ...protocol.creation(name, SIZE, false, false), ['Upload-Id', id]],
    });
    assert.equal(answer.status, 201, answer.body.toString());
  }
  const victim = new Sender(server, {
    method: creating ? 'POST' : 'PATCH',
    path: `${apiBase}/upload${creating ? '' : `/${id}`}`,
    headers: [
      ...protocol.always, ...extra,
      ...(creating ? [...protocol.creation(name, SIZE, true, false), ['Upload-Id', id]] : protocol.append(0, true)),
    ],
    length: SIZE,
  });
  await victim.send(data.subarray(0, ARRIVED));
  await arrived(id, ARRIVED);
  return { protocol, data, name, id, victim };
}

const ask = (base, method, { id, protocol }, headers = [], body = '') => server.request({
  method, path: `${base}/upload/${id}`, headers: [acceptJson, ...protocol.always, ...headers], body,
});

async function soon(what, started, promise) {
  const value = await promise;
  const took = Date.now() - started;
  assert.ok(took <= RESUME_MS, `${what} took ${took} ms`);
  return value;
}

async function victimIsOver({ victim }, started, { goesOn = false, statuses = [423] } = {}) {
  if (hears(goesOn)) {
    const answer = await victim.ended;
    assert.ok(victim.endedAt - started <= RESUME_MS, `the hung request ended after ${victim.endedAt - started} ms`);
    if (answer) assert.ok(statuses.includes(answer.status), `${answer.status} ${answer.body}`);
  }
  victim.close();
}

async function finishFrom(offset, base, upload, started) {
  const { data, protocol, name } = upload;
  const answer = await soon('PATCH', started,
    ask(base, 'PATCH', upload, protocol.append(offset, true), data.subarray(offset)));
  assert.ok([200, 201, 204].includes(answer.status), `${answer.status} ${answer.body}`);
  assert.ok(protocol.whole(answer, SIZE));
  stored.set(name, sha256(data));
  await isStored(`/upload/${upload.id}`, data);
}

async function headOf(base, upload) {
  const answer = await ask(base, 'HEAD', upload);
  assert.ok([200, 204].includes(answer.status), String(answer.status));
  return offsetOf(answer);
}

describe('hung clients', { concurrency: 4 }, () => {
  for (const [base, where] of [['/slipway', 'the same process'], ['/second', 'another process']]) {
    for (const silence of [300, 2500]) {
      for (const protocol of [tus, ietf(8)]) {
        test(`${where} takes over from a ${protocol.name} PATCH silent for ${silence} ms`, async () => {
          const upload = await hungUpload({ protocol });
          await sleep(silence);
          const started = Date.now();
          const offset = await soon('HEAD', started, headOf(base, upload));
          assert.equal(offset, ARRIVED, 'what arrived is kept');
          await finishFrom(offset, base, upload, started);
          await victimIsOver(upload, started);
        });
      }
    }

    test(`${where} takes over by PATCH alone`, async () => {
      const upload = await hungUpload();
      await sleep(300);
      const started = Date.now();
      await finishFrom(ARRIVED, base, upload, started);
      await victimIsOver(upload, started);
    });

    test(`${where} takes over by a PATCH at a wrong offset, then at the right one`, async () => {
      const upload = await hungUpload();
      await sleep(300);
      const started = Date.now();
      const refused = await soon('PATCH', started,
        ask(base, 'PATCH', upload, tus.append(5), upload.data.subarray(5)));
      assert.equal(refused.status, 409);
      assert.equal(offsetOf(refused), ARRIVED);
      await finishFrom(ARRIVED, base, upload, started);
      await victimIsOver(upload, started);
    });

    test(`${where} takes over from a hung creation`, async () => {
      for (const protocol of [tus, ietf(6)]) {
        const upload = await hungUpload({ protocol, creating: true });
        await sleep(300);
        const started = Date.now();
        const offset = await soon('HEAD', started, headOf(base, upload));
        assert.equal(offset, ARRIVED);
        await finishFrom(offset, base, upload, started);
        await victimIsOver(upload, started);
      }
    });

    test(`${where} takes over from a hung PATCH with a checksum, which counts for nothing`, async () => {
      const upload = await hungUpload({ extra: [['Upload-Checksum', `sha1 ${base64(Buffer.alloc(20))}`]] });
      await sleep(300);
      const started = Date.now();
      const offset = await soon('HEAD', started, headOf(base, upload));
      assert.equal(offset, 0);
      await finishFrom(offset, base, upload, started);
      await victimIsOver(upload, started);
    });

    test(`${where} deletes a hung upload`, async () => {
      const upload = await hungUpload();
      await sleep(300);
      const started = Date.now();
      const answer = await soon('DELETE', started, ask(base, 'DELETE', upload));
      assert.equal(answer.status, 204);
      await victimIsOver(upload, started, { statuses: [409, 410, 423] });
      assert.equal((await ask(base, 'HEAD', upload)).status, 410);
    });

    test(`${where} takes over from a client that is slow but not silent`, async () => {
      const upload = await hungUpload();
      const sending = upload.victim.trickle(upload.data.subarray(ARRIVED), 500, 10);
      await sleep(300);
      const started = Date.now();
      const offset = await soon('HEAD', started, headOf(base, upload));
      assert.ok(offset >= ARRIVED);
      await finishFrom(offset, base, upload, started);
      await victimIsOver(upload, started, { goesOn: true });
      await sending;
    });
  }

  test('each of ten hung clients gives way to the next', async () => {
    const upload = await hungUpload();
    const victims = [upload.victim];
    let offset;
    for (let i = 0; i < 10; i++) {
      const started = Date.now();
      offset = await soon('HEAD', started, headOf(pick(['/slipway', '/second']), upload));
      assert.equal(offset, ARRIVED + i * 1000);
      const next = new Sender(server, {
        method: 'PATCH', path: `${pick(['/slipway', '/second'])}/upload/${upload.id}`,
        headers: [...tus.always, ...tus.append(offset)], length: SIZE - offset,
      });
      await next.send(upload.data.subarray(offset, offset + 1000));
      await victimIsOver({ victim: victims.at(-1) }, started);
      await arrived(upload.id, offset + 1000);
      victims.push(next);
    }
    const started = Date.now();
    offset = await soon('HEAD', started, headOf('/slipway', upload));
    await finishFrom(offset, '/slipway', upload, started);
    await victimIsOver({ victim: victims.at(-1) }, started);
  });
});

// --- The end -----------------------------------------------------------------

test('all that was uploaded is there, once and whole, and nothing else', async () => {
  assert.deepEqual(server.crashes(), []);
  await server.stop({ keep: true });
  try {
    const rows = await checkStore(server, { unfinished: true });
    const unfinished = await sqlite.value(server.database,
      "SELECT count(*) FROM upload WHERE state = 'receiving'");
    assert.ok(unfinished <= abandoned, `${unfinished} unfinished uploads, ${abandoned} abandoned`);
    const found = rows.map(({ name, sha256: digest }) => `${name} ${digest}`).sort();
    const wanted = [...stored].map(([name, digest]) => `${name} ${digest}`).sort();
    assert.deepEqual(found, wanted);
  } finally {
    await server.stop();
  }
});
