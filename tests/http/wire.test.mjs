// The HTTP cases over the wire: every case goes through a front server to
// slipway, as `node --test tests/http` runs it; SLIPWAY_SERVER names it. One
// server per configuration, reused by its cases. ONLY=text runs the cases whose
// file or name contains it. lib/exceptions.json says what a server answers
// otherwise.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import {
  capture, checkAnswer, loadCases, sideEffects, steps, wireExpect, wireRequest,
} from '../lib/cases.mjs';
import { exceptions, ofCase } from '../lib/exceptions.mjs';
import { apiBase, filesBelow, Server } from '../lib/server.mjs';
import { servers as kinds, standard } from '../lib/servers.mjs';
import * as sqlite from '../lib/sqlite.mjs';
import { waitFor } from '../lib/wait.mjs';

const servers = 3; // at a time
const only = process.env.ONLY ?? '';
const cases = loadCases(fileURLToPath(new URL('cases', import.meta.url)))
  .filter(({ file, name }) => `${file}: ${name}`.includes(only));

async function state(server) {
  return {
    files: filesBelow(server.uploads).length,
    rows: await sqlite.value(server.database, 'SELECT count(*) FROM file'),
    incoming: fs.readdirSync(server.incoming).length,
  };
}

// A client that goes away does not hear when its request is over. mod_cgid says
// so once it has started a program for it, which may take its time.
async function send(server, spec, captured) {
  const gone = () => server.log().split('AH01270').length;
  const before = gone();
  const answer = await server.request(wireRequest(spec, apiBase, captured));
  if (spec.cut !== undefined && server.name === 'apache-cgi') {
    await waitFor('mod_cgid to see that the client has left', () => gone() > before);
    await waitFor('the program to end', () => server.workers().length === 0);
  }
  return answer;
}

async function prepare(server, requests = []) {
  const captured = {};
  for (const spec of requests) {
    const answer = await send(server, spec, captured);
    if (spec.cut !== undefined) continue;
    const text = `set-up ${spec.method} ${spec.path}: ${answer?.status} ${answer?.body}`;
    assert.ok(answer && (spec.status ? answer.status === spec.status : answer.status < 400), text);
    capture(spec.capture, answer, captured);
  }
  return captured;
}

// What a request leaves behind may settle just after its answer.
async function checkEffects(server, before, expect) {
  const wanted = sideEffects(expect);
  let found;
  await waitFor('side effects', async () => {
    const now = await state(server);
    found = {
      files: now.files - before.files,
      rows: now.rows - before.rows,
      incoming: now.incoming - before.incoming,
    };
    return Object.keys(wanted).every((key) => wanted[key] === undefined || wanted[key] === found[key]);
  }, { timeout: 2000 }).catch(() => {
    for (const [key, value] of Object.entries(wanted)) {
      if (value !== undefined) assert.equal(found[key], value, `${key} afterwards`);
    }
  });
}

async function runStep(server, step, captured) {
  const before = await state(server);
  const expect = wireExpect(step);
  const answer = await send(server, step.request, captured);
  if (step.request.cut === undefined) {
    assert.ok(answer, 'the connection closed without an answer');
    checkAnswer(answer, expect, captured);
    capture(step.request.capture, answer, captured);
  }
  await checkEffects(server, before, expect);
}

// What the steps of a case must lead to, where the server has an exception for
// it: what the server answers itself is the answer to the first.
function excepted(entry, { answer }) {
  const [first, ...others] = steps(entry);
  if (answer === 'slipway') return steps(entry).map((step) => ({ ...step, wire_expect: {} }));
  return [{ ...first, expect: { status: answer }, wire_expect: {} }, ...others];
}

async function runCase(t, server, entry) {
  const exception = ofCase(server.name, entry);
  if (exception && !('answer' in exception)) {
    t.skip(exception.why);
    return;
  }
  const captured = await prepare(server, entry.setup);
  for (const step of exception ? excepted(entry, exception) : steps(entry)) {
    await runStep(server, step, captured);
  }
}

// Cases about handing files over take the way of the server.
const offload = (config) => (config['download.offload'] === 'xsendfile'
  ? kinds[standard].config : {});

async function runGroup(t, config, entries) {
  const server = await Server.start({ config: { ...config, ...offload(config) } });
  try {
    for (const entry of entries) {
      await t.test(`${entry.file}: ${entry.name}`, (it) => runCase(it, server, entry));
    }
    await t.test('slipway stayed up and the database is sound', async () => {
      assert.deepEqual(server.crashes(), []);
      assert.equal((await server.request({ path: `${apiBase}/status` })).status, 200);
      await sqlite.integrity(server.database);
      assert.ok(!fs.readdirSync(server.dir).includes('core'));
    });
  } finally {
    await server.stop();
  }
}

const groups = new Map();
for (const entry of cases) {
  if (entry.wire === false) continue;
  const key = JSON.stringify(Object.entries(entry.config ?? {}).sort());
  if (!groups.has(key)) groups.set(key, { config: entry.config ?? {}, entries: [] });
  groups.get(key).entries.push(entry);
}

test(`HTTP cases through ${standard}`, { concurrency: servers }, async (t) => {
  // The biggest group first: it is the longest.
  const sorted = [...groups.values()].sort((a, b) => b.entries.length - a.entries.length);
  await Promise.all(sorted.map(({ config, entries }) => {
    const name = Object.entries(config).map((pair) => pair.join('=')).join(' ') || 'defaults';
    return t.test(name, (group) => runGroup(group, config, entries));
  }));
});

test('every exception is about a case that there is', { skip: only !== '' }, () => {
  for (const exception of exceptions.filter((entry) => entry.cases)) {
    assert.ok(cases.some((entry) => exception.servers.some((server) => (
      ofCase(server, entry) === exception))), exception.why);
  }
});
