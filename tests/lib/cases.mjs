// The data-driven HTTP cases: reading them, building their requests, checking
// their answers. tests/http/README.md describes the format.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

const bytes = (text) => Buffer.from(text, 'latin1');

const members = {
  case: ['name', 'config', 'setup', 'request', 'expect', 'wire_expect', 'then', 'memory',
    'wire', 'why'],
  step: ['request', 'expect', 'wire_expect'],
  request: ['method', 'path', 'absolute', 'headers', 'body', 'length', 'cut', 'cgi',
    'capture', 'status'],
  expect: ['status', 'interim', 'headers', 'json', 'problem', 'body', 'contains', 'lacks', 'paths',
    'files', 'rows', 'incoming'],
};

function checkMembers(kind, value, name) {
  for (const key of Object.keys(value)) {
    assert.ok(members[kind].includes(key), `${name}: unknown member ${key} of a ${kind}`);
  }
}

// The requests under test, each with what is expected of it.
export const steps = (entry) => [entry, ...(entry.then ?? [])];

// A misspelt member would make a test that tests nothing.
function checkCase(entry, name) {
  checkMembers('case', entry, name);
  for (const step of entry.then ?? []) checkMembers('step', step, name);
  for (const request of [...(entry.setup ?? []), ...steps(entry).map((step) => step.request)]) {
    checkMembers('request', request, name);
  }
  for (const step of steps(entry)) {
    for (const expect of [step.expect, step.wire_expect ?? {}]) {
      checkMembers('expect', expect, name);
    }
    assert.ok(step.expect.status, `${name}: no status`);
  }
  const skipped = entry.memory === false || entry.wire === false;
  assert.equal(skipped, 'why' in entry, `${name}: a skipped run needs a reason`);
}

// All cases below dir as [{file, ...case}], in order.
export function loadCases(dir) {
  const seen = new Set();
  return fs.readdirSync(dir).filter((name) => name.endsWith('.json')).sort()
    .flatMap((file) => JSON.parse(fs.readFileSync(path.join(dir, file), 'utf8'))
      .map((entry) => {
        const name = `${file}: ${entry.name}`;
        assert.ok(!seen.has(name), `two cases called ${name}`);
        seen.add(name);
        checkCase(entry, name);
        return { file, ...entry };
      }));
}

// The bytes that a body member stands for.
export function bodyBytes(body = '') {
  if (typeof body === 'string') return bytes(body);
  if (Array.isArray(body)) return Buffer.concat(body.map(bodyBytes));
  if ('b64' in body) return Buffer.from(body.b64, 'base64');
  const unit = bytes(body.repeat);
  return Buffer.alloc(unit.length * body.times, unit);
}

// A text of a request that may be written like a body.
const spelled = (value) => bodyBytes(value).toString('latin1');

function fill(text, captured) {
  return text.replace(/\$\{([a-z_0-9]+)\}/g, (whole, name) => {
    assert.ok(name in captured, `nothing captured as ${name}`);
    return captured[name];
  });
}

const filledBytes = (value, captured) => bytes(fill(spelled(value), captured));

// The options for request() of lib/http.mjs.
export function wireRequest(spec, base, captured) {
  return {
    method: spec.method,
    path: (spec.absolute ? '' : base) + fill(spelled(spec.path), captured),
    headers: (spec.headers ?? []).map(
      ([name, value]) => [name, fill(spelled(value), captured)]),
    body: filledBytes(spec.body, captured),
    length: spec.length,
    cut: spec.cut,
  };
}

// The member of value at a path such as files.0.name; undefined if absent.
export function member(value, at) {
  return at.split('.').reduce((v, key) => v?.[key], value);
}

function pick(answer, from) {
  if (from === 'body') return answer.body.toString('latin1');
  if (from.startsWith('header:')) return answer.headers.get(from.slice('header:'.length));
  return member(JSON.parse(answer.body.toString('utf8')), from);
}

export function capture(spec = {}, answer, captured) {
  for (const [name, from] of Object.entries(spec)) {
    const found = pick(answer, from);
    assert.notEqual(found, undefined, `nothing to capture at ${from}`);
    captured[name] = String(found);
  }
}

// The expectation that holds on the wire: wire_expect replaces members, null
// removes them.
export function wireExpect({ expect, wire_expect: over = {} }) {
  const merged = { ...expect, ...over };
  for (const [key, value] of Object.entries(merged)) {
    if (value === null) delete merged[key];
  }
  return merged;
}

const oneOf = (value) => (Array.isArray(value) ? value : [value]);

function checkText(what, found, wanted) {
  if (wanted === null) {
    assert.equal(found, undefined, `${what} is there`);
  } else if (typeof wanted === 'object') {
    assert.notEqual(found, undefined, `${what} is missing`);
    assert.match(found, new RegExp(wanted.match), what);
  } else {
    assert.equal(found, wanted, what);
  }
}

function checkMember(at, found, wanted) {
  const rule = wanted !== null && typeof wanted === 'object' && !Array.isArray(wanted);
  if (rule && 'match' in wanted) {
    assert.equal(typeof found, 'string', `${at} is a string`);
    assert.match(found, new RegExp(wanted.match), at);
  } else if (rule && 'exists' in wanted) {
    assert.equal(found !== undefined, wanted.exists, `${at} exists`);
  } else if (rule && 'length' in wanted) {
    assert.ok(Array.isArray(found), `${at} is an array`);
    assert.equal(found.length, wanted.length, `length of ${at}`);
  } else {
    assert.deepEqual(found, wanted, at);
  }
}

function checkProblem(answer, slugs) {
  const problem = JSON.parse(answer.body.toString('utf8'));
  const type = problem.error ? /^application\/json/ : /^application\/problem\+json/; // or for a widget
  assert.match(answer.headers.get('content-type') ?? '', type);
  const types = oneOf(slugs).map((slug) => `urn:slipway:problem:${slug}`);
  assert.ok(types.includes(problem.type), `type ${problem.type}, wanted ${types}`);
  assert.equal(problem.status, answer.status, 'status in the problem');
  for (const name of ['title', 'detail', 'request_id']) {
    assert.ok(typeof problem[name] === 'string' && problem[name] !== '',
      `problem has no ${name}`);
  }
}

function checkHeaders(headers, wanted, captured) {
  for (const [name, value] of Object.entries(wanted)) {
    const exact = typeof value === 'string' ? fill(value, captured) : value;
    checkText(name, headers.get(name), exact);
  }
}

// 100 (Continue) is for the front server to send, or not.
function checkInterim(all, wanted, captured) {
  const found = all.filter(({ status }) => status !== 100);
  assert.equal(found.length, wanted.length, 'interim answers');
  wanted.forEach(({ status, headers = {} }, i) => {
    assert.equal(found[i].status, status, 'status of an interim answer');
    checkHeaders(found[i].headers, headers, captured);
  });
}

// Throws unless answer is as expected. Side effects are for the caller.
export function checkAnswer(answer, expect, captured) {
  const text = answer.body.toString('latin1');
  const context = `${answer.status} ${text.slice(0, 300)}`;
  assert.ok(oneOf(expect.status).includes(answer.status),
    `status ${answer.status}, wanted ${expect.status}\n${context}`);
  checkInterim(answer.interim, expect.interim ?? [], captured);
  checkHeaders(answer.headers, expect.headers ?? {}, captured);
  if (expect.problem) checkProblem(answer, expect.problem);
  for (const [at, wanted] of Object.entries(expect.json ?? {})) {
    const exact = typeof wanted === 'string' ? fill(wanted, captured) : wanted;
    checkMember(at, member(JSON.parse(answer.body.toString('utf8')), at), exact);
  }
  if (expect.body !== undefined) {
    assert.ok(filledBytes(expect.body, captured).equals(answer.body), `body is ${text.slice(0, 300)}`);
  }
  for (const part of expect.contains ?? []) {
    assert.ok(text.includes(fill(part, captured)), `body lacks ${part}\n${context}`);
  }
  for (const part of expect.lacks ?? []) {
    assert.ok(!text.includes(fill(part, captured)), `body has ${part}\n${context}`);
  }
}

// The side effects an expectation names: files and rows default to none where
// the request was refused, and incoming always does.
export function sideEffects(expect) {
  const refused = oneOf(expect.status).every((status) => status >= 400);
  return {
    files: expect.files ?? (refused ? 0 : undefined),
    rows: expect.rows ?? (refused ? 0 : undefined),
    incoming: expect.incoming ?? 0,
  };
}
