// kill -9 of slipway at random moments during a continuous load of uploads.
// What was acknowledged is there and whole; nothing else is visible but whole
// files of requests whose answer was lost.
//
//   SEED=n node --test tests/e2e/kill.test.mjs    repeats a run's choices
//   KILL_SECONDS=600                              a longer run
//
// lighttpd starts a killed program again, but not more than about once a
// second; so there are four processes on one data directory, and each of them
// takes over what the others leave behind. Under CGI there is a process for each
// request, and a kill costs no more than that.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import {
  acceptJson, ageHomes, checkStore, command, fast, iniOf, multipart, picture, random,
  seedOf, Sender, sha256, unchanged,
} from '../lib/e2e.mjs';
import { rounds, testsOf } from '../lib/every_server.mjs';
import { json } from '../lib/http.mjs';
import { Server } from '../lib/server.mjs';
import { standard } from '../lib/servers.mjs';
import { sleep, waitFor } from '../lib/wait.mjs';

const test = testsOf(import.meta.url);
const SECONDS = Number(process.env.KILL_SECONDS ?? rounds(40));
const ROUNDS = rounds(4); // each ends with a full check
const KILLS_PER_SECOND = ROUNDS > 1 ? 2.5 : 1; // at least
const PAUSE_MS = standard === 'apache-cgi' ? 100 : 560; // at most, between kills
const CLIENTS = 4;
const FETCHES = rounds(2000);
const bases = ['/slipway', '/second', '/third', '/fourth'];

const seed = seedOf();
const chance = random(seed);
const below = (n) => Math.floor(chance() * n);
const sent = new Set(); // digests of all contents that any client sent
const acknowledged = new Map(); // by id: {url, download, size, sha256}
const counts = { kills: 0, answered: 0, lost: 0 };

// Contents differ from each other; most are small, so that kills often meet
// the moments around publishing.
function content() {
  const size = chance() < 0.7 ? below(3000) : below(400000);
  const data = Buffer.alloc(size, `${counts.answered}-${chance()}-`);
  sent.add(sha256(data));
  return data;
}

const kinds = {
  put: (n) => ({ method: 'PUT', path: `/upload/put-${n}.bin`, body: content() }),
  form: (n) => form([{ name: 'file', filename: `form-${n}.txt`, data: content() }]),
  forms: (n) => form([
    { name: 'note', value: `of ${n}` },
    ...[1, 2, 3, 4].map((i) => ({ name: 'files', filename: `many-${n}-${i}.txt`, data: content() })),
  ]),
  directory: (n) => form([
    { name: 'directory', value: '1' },
    ...['a.txt', 'b/c.txt', 'b/d/e.txt'].map((name) => (
      { name: 'files', filename: `dir-${n}/${name}`, data: content() })),
  ]),
};

function form(parts) {
  const { type, body } = multipart(parts);
  return { method: 'POST', path: '/upload', headers: [['Content-Type', type]], body, parts };
}

// What an answer promises: one entry per file, or one for a directory.
function promised(request, answer) {
  const { files } = json(answer);
  const bodies = request.parts?.filter((part) => part.data).map((part) => part.data) ?? [request.body];
  if (files[0].directory) {
    assert.equal(files.length, 1);
    assert.equal(files[0].count, bodies.length);
    return request.parts.filter((part) => part.data).map((part) => ({
      id: `${files[0].id}/${part.filename}`, url: files[0].url + part.filename, directory: files[0].id,
      size: part.data.length, sha256: sha256(part.data),
    }));
  }
  assert.equal(files.length, bodies.length);
  return files.map((file, i) => {
    assert.equal(file.sha256, sha256(bodies[i]));
    return { ...file, size: bodies[i].length, sha256: sha256(bodies[i]) };
  });
}

// A program that is killed in its answer: mod_cgid ends it as if it were whole.
function isCut({ body }) {
  try {
    return !JSON.parse(body);
  } catch {
    return standard === 'apache-cgi';
  }
}

async function client(server, number, isOver) {
  for (let n = 0; !isOver(); n++) {
    const kind = Object.keys(kinds)[below(4)];
    const request = kinds[kind](`${number}-${n}`);
    const headers = [...(request.headers ?? []), acceptJson];
    if (chance() < 0.5) headers.push(['Upload-Id', `kill_${seed}_${number}_${counts.answered}_${counts.lost}`]);
    const answer = await server.request({
      ...request, path: bases[below(bases.length)] + request.path, headers, timeout: 30000,
    }).catch((error) => {
      if (/no complete answer in time/.test(error.message)) throw error;
      return null;
    });
    if (answer?.status === 201 && !isCut(answer)) {
      counts.answered++;
      for (const file of promised(request, answer)) acknowledged.set(file.id, file);
    } else {
      counts.lost++;
      if (answer && !isCut(answer)) assert.ok(answer.status >= 500, `${answer.status} ${answer.body}`);
      await sleep(5); // the process is starting again
    }
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
    counts.kills++;
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // dead already, and not yet waited for
  }
}

async function killer(server, isOver) {
  while (!isOver()) {
    await sleep(below(PAUSE_MS));
    const workers = await waitFor('a process', () => (
      isOver() ? [] : server.workers().length > 0 && server.workers()), { every: 1 });
    const doomed = chance() < 0.05 ? workers : workers.slice(below(workers.length)).slice(0, 1);
    doomed.forEach(kill);
  }
}

// All processes answer again. Their start is also when they recover.
const allUp = (server) => Promise.all(bases.map((base) => waitFor(`${base} to answer`,
  async () => (await server.request({ path: `${base}/status` })).status === 200, { timeout: 10000 })));

// Of a form or a directory, all files are there or none.
function checkWholeForms(rows) {
  const perUpload = new Map();
  for (const { upload, name } of rows) {
    const [, kind] = /^(many|dir|form|put)/.exec(path.basename(name)) ?? [, 'dir'];
    const group = `${upload} ${kind}`;
    perUpload.set(group, (perUpload.get(group) ?? 0) + 1);
  }
  const wanted = { many: 4, dir: 3, form: 1, put: 1 };
  for (const [group, count] of perUpload) {
    assert.equal(count, wanted[group.split(' ')[1]], `part of a form: ${group}`);
  }
}

async function check(server) {
  ageHomes(server);
  const gc = await command('gc', '--config', iniOf(server));
  assert.equal(gc.code, 0, gc.stderr);
  const rows = await checkStore(server);
  for (const row of rows) assert.ok(sent.has(row.sha256), `${row.path} was never sent`);
  checkWholeForms(rows);
  const byPath = new Map(rows.map((row) => [row.path, row]));
  const lost = [...acknowledged.values()].filter((file) => {
    const row = byPath.get(decodeURIComponent(file.url.slice('/_upload/'.length)));
    return !row || row.state !== 'stored' || row.sha256 !== file.sha256 || row.size !== file.size;
  });
  assert.deepEqual(lost, [], 'acknowledged uploads are lost');
  return rows;
}

async function round(server, seconds) {
  const end = Date.now() + seconds * 1000;
  const isOver = () => Date.now() >= end;
  const clients = Array.from({ length: CLIENTS }, (_, i) => client(server, i, isOver));
  await Promise.all([killer(server, isOver), ...clients]);
  server.workers().forEach(kill);
  await allUp(server);
  return check(server);
}

// Over HTTP a sample is enough: all files were compared on disk.
async function fetchSome(server, files) {
  const step = Math.ceil(files.length / FETCHES);
  const queue = files.filter((_, i) => i % step === 0);
  const fetcher = async () => {
    for (let file = queue.pop(); file; file = queue.pop()) {
      for (const target of [file.url, file.download].filter(Boolean)) {
        const answer = await server.request({ path: target });
        assert.equal(answer.status, 200, target);
        assert.equal(sha256(answer.body), file.sha256, target);
      }
    }
  };
  await Promise.all([fetcher(), fetcher(), fetcher(), fetcher()]);
}

const holderOf = (server, home) => server.workers().find((pid) => fs.readdirSync(`/proc/${pid}/fd`)
  .some((fd) => {
    try {
      return fs.readlinkSync(`/proc/${pid}/fd/${fd}`).includes(home);
    } catch {
      return false;
    }
  }));

test('an upload whose process was killed is over for all others', async (t) => {
  const server = await Server.start({ config: fast, more: ['second'] });
  t.after(() => server.stop());
  const state = async (id) => json(await server.request({ path: `/second/progress/${id}` })).state;
  const before = await picture(server);
  for (const how of ['is asked for its progress', 'is cancelled']) {
    const id = `killed_and_${how.replaceAll(' ', '_')}`;
    const sender = new Sender(server, {
      path: '/slipway/upload/a', headers: [['Upload-Id', id]], length: 100000,
    });
    await sender.send(Buffer.alloc(50000));
    await waitFor('it to be receiving', async () => await state(id) === 'receiving');
    const [home] = fs.readdirSync(server.incoming);
    process.kill(holderOf(server, home), 'SIGKILL');
    if (how === 'is cancelled') {
      const answer = await server.request({ method: 'POST', path: `/second/cancel/${id}` });
      assert.ok([200, 409].includes(answer.status), answer.body.toString());
      assert.equal(await state(id), answer.status === 200 ? 'cancelled' : 'failed');
      await unchanged(server, before, 0);
    } else {
      await waitFor('the failure to show', async () => await state(id) === 'failed');
      await unchanged(server, before, 0);
    }
    await sender.send(Buffer.alloc(50000)); // some servers answer those who go on
    assert.notEqual((await sender.ended)?.status, 201);
    sender.close();
    await waitFor('the next process', async () => (
      await server.request({ path: '/slipway/status' })).status === 200);
  }
});

for (const durability of ['process', 'power']) {
  test(`kill -9 during uploads, durability = ${durability}`, async (t) => {
    const server = await Server.start({
      config: { ...fast, 'storage.durability': durability },
      more: bases.slice(1).map((base) => base.slice(1)),
    });
    t.after(() => server.stop());
    t.diagnostic(`SEED=${seed}`);
    acknowledged.clear();
    counts.kills = counts.answered = counts.lost = 0;
    const share = durability === 'process' ? 0.7 : 0.3;
    for (let i = 0; i < ROUNDS; i++) {
      const rows = await round(server, SECONDS * share / ROUNDS);
      t.diagnostic(`${counts.kills} kills, ${counts.answered} uploads answered, ${counts.lost} `
        + `not, ${acknowledged.size} files promised, ${rows.length} stored`);
    }
    await fetchSome(server, [...acknowledged.values()]);
    assert.ok(counts.kills >= KILLS_PER_SECOND * share * SECONDS, `only ${counts.kills} kills`);
    assert.ok(!fs.existsSync(path.join(server.dir, 'core')));
  });
}
