// kill -9 of slipway at random moments while clients upload by resumable
// protocols. The clients go on by themselves; what they were told stays true;
// every upload ends stored once and whole.
//
//   SEED=n node --test tests/e2e/resume_kill.test.mjs    repeats a run's choices
//   UPLOADS=5000                                         a longer run
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import {
  acceptJson, ageHomes, checkStore, command, fast, iniOf, random, seedOf, Sender, sha256,
} from '../lib/e2e.mjs';
import { rounds, testsOf } from '../lib/every_server.mjs';
import { json } from '../lib/http.mjs';
import { exchange, ietf, offsetOf, Resumable, tus, within } from '../lib/resumable.mjs';
import { RoughProxy } from '../lib/rough.mjs';
import { Server } from '../lib/server.mjs';
import * as sqlite from '../lib/sqlite.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
const UPLOADS = Number(process.env.UPLOADS ?? rounds(300));
const CLIENTS = 8;
const KIB = 1 << 10;
const MIB = 1 << 20;
const CHECKPOINT = 16 * MIB;
const ON_ITS_WAY = 4 * MIB; // in sockets and in lighttpd, at 64 MiB/s
const LATE_MS = 250; // a checkpoint may be late
const bases = ['/slipway', '/second'];

const seed = seedOf();
const chance = random(seed);
const below = (n) => Math.floor(chance() * n);
const pick = (list) => list[below(list.length)];

// What lighttpd says for a slipway that it cannot reach. Slipway itself would
// describe its problem.
const fromFront = ({ status, headers }) => (
  status >= 500 && !/problem\+json/.test(headers.get('content-type') ?? ''));

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
    return 1;
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // dead already, and not yet waited for
    return 0;
  }
}

// Kills after a random moment of work, or just when a file becomes visible,
// before that is written down. lighttpd starts a program again about once a
// second at most.
async function killer(server, counts, isOver) {
  let seen = () => {};
  const watch = fs.watch(server.uploads, () => seen());
  while (!isOver()) {
    const published = new Promise((resolve) => { seen = resolve; });
    await (chance() < 0.5 ? sleep(below(300)) : within(published, 500));
    const workers = server.workers();
    const doomed = chance() < 0.3 ? workers : workers.slice(below(workers.length)).slice(0, 1);
    doomed.forEach((pid) => { counts.kills += kill(pid); });
  }
  watch.close();
}

const allUp = (server) => Promise.all(bases.map((base) => waitFor(`${base} to answer`,
  async () => (await server.request({ path: `${base}/status` })).status === 200, { timeout: 10000 })));

// --- Clients -----------------------------------------------------------------

class Run {
  constructor(server, count) {
    this.server = server;
    this.count = count;
    this.least = Math.max(5, count / 20); // kills
    this.begun = 0;
    this.wanted = new Map(); // name -> {sha256, most: how often it may be there}
    this.gone = new Set(); // names of what was deleted
    this.counts = { kills: 0, requests: 0, twice: 0, lostCreations: 0, deleted: 0, finals: 0, listed: 0 };
  }

  #new(data, extra = {}) {
    const number = ++this.begun;
    const name = `killed-${number}.bin`;
    const { server } = this;
    return {
      name, data, fromFront, port: server.port, base: () => pick(bases),
      id: chance() < 0.5 ? `killed_${seed}_${number}` : undefined,
      chunk: chance() < 0.4 ? Math.ceil(data.length * (0.05 + chance() / 2)) + 1 : Infinity,
      ...extra,
    };
  }

  #account(upload) {
    this.counts.requests += upload.requests;
    this.counts.twice += upload.sent - upload.size;
    this.counts.lostCreations += upload.lostCreations;
  }

  // A client that does not know the id of a creation whose answer was lost
  // creates another; what was in the first one may have been all.
  async #single(options) {
    const { name, data } = options;
    const upload = new Resumable(options);
    const whole = data.length === 0 || upload.options.first === data.length;
    this.wanted.set(name, { sha256: sha256(data), most: () => 1 + (whole ? upload.lostCreations : 0) });
    await upload.run();
    this.#account(upload);
    if (chance() < 0.1) await this.#delete(upload);
    return upload;
  }

  plain() {
    return this.#single(this.#new(crypto.randomBytes(below(pick([2, 3000, 300 * KIB, 4 * MIB])))));
  }

  draft() {
    const data = crypto.randomBytes(1 + below(MIB));
    return this.#single(this.#new(data, { protocol: ietf(pick([3, 5, 6, 8])) }));
  }

  withUpload() {
    const data = crypto.randomBytes(1 + below(pick([3000, 2 * MIB])));
    return this.#single(this.#new(data, { first: chance() < 0.5 ? data.length : below(data.length) }));
  }

  async parallel() {
    const { name, data } = this.#new(crypto.randomBytes(1 + below(3 * MIB)));
    const parts = 2 + below(3);
    const at = (i) => Math.floor(i * data.length / parts);
    this.wanted.set(name, { sha256: sha256(data), most: () => 1 });
    const uploads = await Promise.all(Array.from({ length: parts }, async (_, i) => {
      const upload = await new Resumable({
        name, fromFront, data: data.subarray(at(i), at(i + 1)), port: this.server.port,
        base: () => pick(bases), extra: [['Upload-Concat', 'partial']],
        id: chance() < 0.5 ? `part_${seed}_${this.begun}_${i}` : undefined,
      }).run();
      this.#account(upload);
      return upload;
    }));
    await this.#final(name, data, uploads);
  }

  async #final(name, data, uploads) {
    const headers = (base) => [
      ...tus.always, ['Upload-Concat', `final;${uploads.map(({ resource }) => base + resource).join(' ')}`],
      tus.creation(name, data.length)[1],
    ];
    const created = await this.#until('POST', '/upload', headers, ({ status }) => status === 201);
    const resource = created.headers.get('location').slice(created.headers.get('location').indexOf('/upload/'));
    const again = await this.#until('POST', '/upload', headers, ({ status }) => status === 201);
    assert.ok(again.headers.get('location').endsWith(resource), 'the same final, the same place');
    await this.#until('HEAD', resource, tus.always,
      (answer) => answer.status === 200 && offsetOf(answer) === data.length,
      (answer) => answer.status === 200 && !answer.headers.has('upload-offset'));
    for (const part of uploads) {
      await this.#until('HEAD', part.resource, tus.always,
        (answer) => answer.status === 200 && offsetOf(answer) === part.size);
    }
    this.counts.finals++;
  }

  // Asks until the answer is good; not every answer may be waited over.
  async #until(method, target, headers, isGood, isPatience = () => false) {
    const end = Date.now() + 40000;
    for (;;) {
      const base = pick(bases);
      const { answer } = await exchange(this.server.port, {
        method, path: base + target, headers: typeof headers === 'function' ? headers(base) : headers,
      });
      this.counts.requests++;
      if (answer && isGood(answer)) return answer;
      const wait = !answer || fromFront(answer) || answer.status === 423 || isPatience(answer);
      const text = `${method} ${target}: ${answer?.status} ${answer?.body}`;
      assert.ok(wait, text);
      assert.ok(Date.now() < end, `no end: ${text}`);
      await sleep(20);
    }
  }

  async #delete(upload) {
    this.gone.add(upload.options.name);
    await this.#until('DELETE', upload.resource, upload.options.protocol.always,
      ({ status }) => [204, 404, 410].includes(status));
    await this.#until('HEAD', upload.resource, upload.options.protocol.always,
      ({ status }) => [404, 410].includes(status));
    this.counts.deleted++;
  }

  async client() {
    while (this.begun < this.count || this.counts.kills < this.least) {
      await this[pick(['plain', 'plain', 'withUpload', 'parallel', 'draft'])]();
    }
  }

  // What anybody sees meanwhile is whole.
  async watcher(isOver) {
    while (!isOver()) {
      await sleep(200);
      const answer = await this.server.request({
        path: `${pick(bases)}/files?limit=50`, headers: [acceptJson],
      }).catch(() => null);
      if (answer?.status !== 200 || answer.body.length === 0) continue; // killed, or as CGI in its answer
      const { files } = json(answer);
      for (const file of files) assert.equal(file.sha256, this.wanted.get(file.name)?.sha256, file.name);
      this.counts.listed += files.length;
      if (files.length === 0) continue;
      const file = pick(files);
      const got = await this.server.request({ path: file.url });
      if (got.status === 404 && this.gone.has(file.name)) continue;
      assert.equal(got.status, 200, file.url);
      assert.equal(sha256(got.body), file.sha256, file.url);
    }
  }

  // Every file is there as often as it must; no slipway is at work.
  async check() {
    const rows = await checkStore(this.server, { unfinished: true });
    const found = new Map();
    for (const row of rows) {
      assert.equal(row.sha256, this.wanted.get(row.name)?.sha256, row.name);
      found.set(row.name, (found.get(row.name) ?? 0) + 1);
    }
    for (const [name, { most }] of this.wanted) {
      const copies = found.get(name) ?? 0;
      const least = this.gone.has(name) ? 0 : 1;
      assert.ok(copies >= least && copies <= most() - (1 - least), `${copies} files called ${name}`);
    }
    // Parts whose bytes were not yet removed when slipway was killed expire.
    const unfinished = await sqlite.value(this.server.database,
      "SELECT count(*) FROM upload WHERE state = 'receiving' AND concat IS NOT 'partial'");
    assert.ok(unfinished <= this.counts.lostCreations, `${unfinished} unfinished uploads`);
    return rows;
  }
}

for (const [durability, share] of [['process', 0.8], ['power', 0.2]]) {
  test(`kill -9 during resumable uploads, durability = ${durability}`, { timeout: UPLOADS * 1000 }, async (t) => {
    const server = await Server.start({
      config: { ...fast, 'storage.durability': durability }, more: ['second'],
    });
    t.after(() => server.stop());
    t.diagnostic(`SEED=${seed}`);
    const started = Date.now();
    const run = new Run(server, Math.round(UPLOADS * share));
    let over = false;
    const disturbing = Promise.all([killer(server, run.counts, () => over), run.watcher(() => over)]);
    disturbing.catch(() => {}); // told below
    try {
      await Promise.all(Array.from({ length: CLIENTS }, () => run.client()));
    } finally {
      over = true;
    }
    await disturbing;
    server.workers().forEach(kill);
    await allUp(server);
    ageHomes(server);
    const gc = await command('gc', '--config', iniOf(server));
    assert.equal(gc.code, 0, gc.stderr);
    await server.stop({ keep: true });
    const rows = await run.check();
    t.diagnostic(`${rows.length} files in ${(Date.now() - started) / 1000} s: ${JSON.stringify(run.counts)}`);
    assert.doesNotMatch(server.log(), /Sanitizer|runtime error:/);
    assert.ok(!fs.existsSync(path.join(server.dir, 'core')));
  });
}

// --- What a kill costs -------------------------------------------------------

async function begin(server, size, port = server.port) {
  const answer = await server.request({
    method: 'POST', path: '/slipway/upload', headers: [...tus.always, ...tus.creation('cost.bin', size)],
  });
  assert.equal(answer.status, 201, answer.body.toString());
  const resource = answer.headers.get('location').slice('/slipway'.length);
  const sender = new Sender({ port }, {
    method: 'PATCH', path: `/slipway${resource}`, headers: [...tus.always, ...tus.append(0)], length: size,
  });
  const kept = async () => {
    const head = await server.request({ method: 'HEAD', path: `/second${resource}`, headers: tus.always });
    assert.equal(head.status, 200);
    return offsetOf(head);
  };
  return { sender, kept };
}

async function withTwo(t) {
  const server = await Server.start({ config: fast, more: ['second'] });
  t.after(() => server.stop());
  return server;
}

test('of a slow upload a kill costs what came in the last second', async (t) => {
  const server = await withTwo(t);
  const { sender, kept } = await begin(server, MIB);
  const sent = []; // when each KiB was
  while (sent.length < 350) {
    await sender.send(Buffer.alloc(KIB));
    sent.push(Date.now());
    await sleep(10);
  }
  server.workers().forEach(kill);
  const killed = Date.now();
  await allUp(server);
  const offset = await kept();
  const older = sent.filter((at) => at <= killed - 1000 - LATE_MS).length * KIB;
  t.diagnostic(`kept ${offset} of ${sent.length * KIB}, ${older} of them older than a second`);
  assert.ok(offset >= older, `kept ${offset}, ${older} were older than a second`);
  sender.close();
});

test('of a fast upload a kill costs 16 MiB and what was on its way', async (t) => {
  const server = await withTwo(t);
  const proxy = await RoughProxy.start(server.port, () => ({ up: { rate: 64 * MIB } }));
  t.after(() => proxy.close());
  const { sender, kept } = await begin(server, 1000 * MIB, proxy.port);
  const piece = crypto.randomBytes(MIB);
  const until = Date.now() + 2000;
  while (Date.now() < until) await sender.send(piece);
  const passed = proxy.passed('up');
  server.workers().forEach(kill);
  await allUp(server);
  const offset = await kept();
  t.diagnostic(`kept ${offset} of ${passed}`);
  assert.ok(offset >= passed - CHECKPOINT - ON_ITS_WAY, `kept ${offset} of ${passed}`);
  sender.close();
});
