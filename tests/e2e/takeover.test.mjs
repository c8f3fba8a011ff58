// Two processes on one data directory; many requests at once on one upload:
// PATCH, HEAD, DELETE and cancel. Each time one outcome wins: the upload is
// stored once and whole, or it is gone for everybody.
//
//   SEED=n node --test tests/e2e/takeover.test.mjs    repeats a run's choices
//   ROUNDS=20000                                      a longer run
import assert from 'node:assert/strict';
import crypto from 'node:crypto';

import { checkStore, fast, random, seedOf, sha256 } from '../lib/e2e.mjs';
import { gathers, rounds, testsOf } from '../lib/every_server.mjs';
import { Connection, head, json } from '../lib/http.mjs';
import { offsetOf, tus } from '../lib/resumable.mjs';
import { Server } from '../lib/server.mjs';
import { sleep } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
const ROUNDS = Number(process.env.ROUNDS ?? rounds(2000));
const AT_ONCE = 16; // rounds
const bases = ['/slipway', '/second'];

const seed = seedOf();
const chance = random(seed);
const below = (n) => Math.floor(chance() * n);
const pick = (list) => list[below(list.length)];

const counts = new Map();
const count = (what) => counts.set(what, (counts.get(what) ?? 0) + 1);
const pool = crypto.randomBytes(1 << 20);
const stored = new Map(); // name -> digest

// Connections that are free. A server may close one just when the next request
// goes out; so they are for what is safe, which is asked again then (RFC 9110
// section 9.2.2).
class Lines {
  #free = [];

  #takeFree() {
    for (let free = this.#free.pop(); free; free = this.#free.pop()) {
      if (!free.line.closed && Date.now() - free.since < 1000) return free.line;
      free.line.close();
    }
    return undefined;
  }

  constructor(port) {
    this.port = port;
  }

  // Gives null if the server closed the connection without an answer.
  async ask(method, path, options = {}) {
    const used = ['HEAD', 'GET'].includes(method) ? this.#takeFree() : undefined;
    const answer = used && await this.#askOn(used, method, path, options);
    return answer || this.#askOn(new Connection(this.port), method, path, options);
  }

  // body may come in two parts, the second of them when it is answered or the
  // pause is over; the first comes apart from the head, without which lighttpd
  // keeps it to itself.
  async #askOn(line, method, path, { headers = [], body = Buffer.alloc(0), pauseAt, pause }) {
    const first = head({
      method, path, headers: [...headers, ['Content-Length', body.length], ['Connection', 'keep-alive']],
    });
    const answered = line.response(method).catch(() => null);
    if (pauseAt === undefined) {
      line.send(Buffer.concat([first, body]));
    } else {
      line.send(first);
      await sleep(3);
      line.send(body.subarray(0, pauseAt));
      await Promise.race([answered, pause]);
      line.send(body.subarray(pauseAt));
    }
    const answer = await answered;
    // lighttpd closes, and does not say so, where a body was not read to its end.
    const clean = answer && (body.length === 0 || answer.status < 300);
    if (clean && !line.closed && answer.headers.get('connection') !== 'close') this.#free.push({ line, since: Date.now() });
    else line.close();
    if (answer) assert.ok(answer.status < 500, `${method} ${path}: ${answer.status} ${answer.body}`);
    return answer;
  }

  close() {
    this.#free.forEach(({ line }) => line.close());
  }
}

// Status and, where there is a body that tells, problem.
const summary = (answer) => (answer.body.length > 0 && /problem/.test(answer.headers.get('content-type'))
  ? `${answer.status} ${json(answer).type.split(':').at(-1)}` : String(answer.status));

// One upload and the requests that fight for it.
class Round {
  constructor(lines, number) {
    this.lines = lines;
    this.name = `round-${number}.bin`;
    const size = pick([1, 100, 10000, 300000]);
    const from = below(pool.length - size - 2);
    this.data = pool.subarray(from, from + 2 + below(size));
    this.size = this.data.length;
    this.outcomes = [];
  }

  async ask(method, { base = pick(bases), path = `/upload/${this.id}`, headers = [], ...rest } = {}) {
    const answer = await this.lines.ask(method, base + path, { headers: [...tus.always, ...headers], ...rest });
    const outcome = answer ? summary(answer) : 'closed';
    count(`${method}${path.startsWith('/cancel') ? ' cancel' : ''} ${outcome}`);
    this.outcomes.push(`${method} ${base}${path}: ${outcome} ${answer && offsetOf(answer)}`);
    if ([404, 410].includes(answer?.status)) this.saidGone = true;
    return answer;
  }

  must(condition, what) {
    assert.ok(condition, `${what}, ${this.name} of ${this.size} bytes:\n${this.outcomes.join('\n')}`);
  }

  async create() {
    const answer = await this.ask('POST', { path: '/upload', headers: tus.creation(this.name, this.size) });
    this.must(answer?.status === 201, 'no creation');
    this.id = answer.headers.get('location').split('/').at(-1);
  }

  patch(offset, rest = {}) {
    return this.ask('PATCH', { headers: tus.append(offset), body: this.data.subarray(offset), ...rest });
  }

  // --- Those who fight -------------------------------------------------------

  async sender() {
    const slow = chance() < 0.3 ? { pauseAt: below(this.size), pause: sleep(below(30)) } : {};
    const answer = await this.patch(0, slow);
    if (!answer) return; // a victim may be closed
    this.must([204, 409, 410, 423].includes(answer.status), 'an odd answer to PATCH');
    if (answer.status === 204) this.must(offsetOf(answer) === this.size, 'a part of a PATCH');
    if (answer.status === 204) this.completed++;
  }

  async resumer() {
    const answer = await this.ask('HEAD');
    this.must([200, 410, 423].includes(answer?.status), 'an odd answer to HEAD');
    if (answer.status !== 200) return;
    const offset = offsetOf(answer);
    this.must(offset >= 0 && offset <= this.size, 'an odd offset');
    if (chance() < 0.3) return;
    const patched = await this.patch(offset);
    if (!patched) return;
    this.must([204, 409, 410, 423].includes(patched.status), 'an odd answer to PATCH');
    if (patched.status === 204 && offset < this.size) this.completed++;
  }

  async remover() {
    const answer = await this.ask('DELETE');
    this.must([204, 410, 423].includes(answer?.status), 'an odd answer to DELETE');
    if (answer.status === 204) this.deleted++;
  }

  async canceller() {
    const answer = await this.ask('POST', { path: `/cancel/${this.id}` });
    this.must([200, 409].includes(answer?.status), 'an odd answer to cancel');
    if (answer.status === 200) this.cancelled++;
  }

  async fight() {
    this.completed = this.deleted = this.cancelled = 0;
    const fighters = [
      ...Array.from({ length: 1 + below(3) }, () => 'sender'),
      ...Array.from({ length: below(3) }, () => 'resumer'),
      ...Array.from({ length: chance() < 0.3 ? 1 + below(2) : 0 }, () => 'remover'),
      ...Array.from({ length: chance() < 0.3 ? 1 + below(2) : 0 }, () => 'canceller'),
    ];
    await Promise.all(fighters.map(async (who) => {
      await sleep(below(4));
      await this[who]();
    }));
  }

  // Nobody else is there any more.
  async checkGone() {
    this.must(this.deleted || !this.completed, 'stored and cancelled');
    for (const base of bases) {
      for (const [method, rest] of [['HEAD', {}], ['GET', {}], ['DELETE', {}], ['PATCH', {
        headers: tus.append(0), body: this.data,
      }]]) {
        const answer = await this.ask(method, { base, ...rest });
        this.must([404, 410].includes(answer?.status), `${method} after the end`);
      }
    }
  }

  async checkAlive() {
    this.must(!this.saidGone, 'somebody was told that it is gone');
    this.must(this.completed <= 1, 'stored twice');
    const answer = await this.ask('HEAD');
    this.must(answer?.status === 200, 'HEAD when all have left');
    const offset = offsetOf(answer);
    this.must(!this.completed || offset === this.size, 'stored and not whole');
    if (offset < this.size) {
      const patched = await this.patch(offset);
      this.must(patched?.status === 204 && offsetOf(patched) === this.size, 'PATCH at the offset of HEAD');
    }
    stored.set(this.name, sha256(this.data));
    for (const base of bases) {
      const again = await this.ask('HEAD', { base });
      this.must(again?.status === 200 && offsetOf(again) === this.size, 'HEAD when it is stored');
    }
    const found = await this.ask('GET');
    this.must(found?.status === 303, 'GET when it is stored');
    const file = await this.lines.ask('GET', found.headers.get('location'));
    this.must(file.status === 200 && file.body.equals(this.data), 'the file');
  }

  async run() {
    await this.create();
    await this.fight();
    count(`ends ${this.deleted ? 'deleted' : this.cancelled ? 'cancelled' : 'stored'}`);
    await (this.deleted || this.cancelled ? this.checkGone() : this.checkAlive());
  }

  // One client is stuck, the other goes on where HEAD says.
  async takeOver() {
    await this.create();
    const pauseAt = 1 + below(this.size - 1);
    let over = false;
    let release;
    const pause = new Promise((resolve) => { release = resolve; });
    const stuck = this.patch(0, { pauseAt, pause }).finally(() => { over = true; });
    let offset;
    let sure; // that the stuck one does not come after the HEAD
    do {
      await sleep(below(6));
      sure = over;
      const answer = await this.ask('HEAD');
      this.must(answer?.status === 200, 'HEAD during a stuck PATCH');
      offset = offsetOf(answer);
    } while (!sure && (offset === 0 || offset < pauseAt));
    const patched = await this.patch(offset);
    this.must(patched?.status === 204 && offsetOf(patched) === this.size, 'PATCH at the offset of HEAD');
    release();
    const victim = await stuck;
    this.must(!victim || [409, 423].includes(victim.status), 'an odd answer to the victim');
    stored.set(this.name, sha256(this.data));
    count('ends taken over');
  }
}

test(`${ROUNDS} fights for one upload, between two processes`, { timeout: ROUNDS * 100 + 20000 }, async (t) => {
  const server = await Server.start({ config: fast, more: ['second'] });
  t.after(() => server.stop());
  t.diagnostic(`SEED=${seed}`);
  const lines = new Lines(server.port);
  const started = Date.now();
  let number = 0;
  const worker = async () => {
    while (number < ROUNDS) {
      const round = new Round(lines, ++number);
      await (number % 5 === 0 && !gathers ? round.takeOver() : round.run());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  lines.close();
  t.diagnostic(`${(Date.now() - started) / 1000} s`);
  t.diagnostic([...counts].sort().map(([what, n]) => `${what}: ${n}`).join(', '));
  assert.deepEqual(server.crashes(), []);
  await server.stop({ keep: true });
  const rows = await checkStore(server);
  const found = rows.map(({ name, sha256: digest }) => `${name} ${digest}`).sort();
  const wanted = [...stored].map(([name, digest]) => `${name} ${digest}`).sort();
  assert.deepEqual(found, wanted, 'exactly one file of each that was stored, none of the others');
});
