// A small client for resumable uploads, tus 1.0.0 and the IETF draft. It counts
// every byte that it sends and holds the server to every offset that it was
// told: an offset never decreases, an upload that was created never goes away.
import assert from 'node:assert/strict';

import { Connection, head } from './http.mjs';
import { sleep } from './wait.mjs';

const PIECE = 64 * 1024;

const base64 = (text) => Buffer.from(text).toString('base64');

// What the protocols put into their requests, and how they say that all is
// there. last: the request brings the final byte.
export const tus = {
  name: 'tus',
  always: [['Tus-Resumable', '1.0.0']],
  creation: (name, size, body) => [
    ['Upload-Length', size], ['Upload-Metadata', `filename ${base64(name)}`],
    ...(body ? [['Content-Type', 'application/offset+octet-stream']] : []),
  ],
  append: (offset) => [['Upload-Offset', offset], ['Content-Type', 'application/offset+octet-stream']],
  whole: (answer, size) => offsetOf(answer) === size,
};

export function ietf(version) {
  const complete = (last) => (version === 3
    ? ['Upload-Incomplete', last ? '?0' : '?1'] : ['Upload-Complete', last ? '?1' : '?0']);
  return {
    name: `ietf ${version}`,
    always: [['Upload-Draft-Interop-Version', version]],
    creation: (name, size, body, last) => [
      complete(last), ['Upload-Length', size], ['Content-Disposition', `attachment; filename="${name}"`],
    ],
    append: (offset, last) => [
      ['Upload-Offset', offset], complete(last), ['Content-Type', 'application/partial-upload'],
    ],
    whole: ({ headers }) => (version === 3
      ? headers.get('upload-incomplete') === '?0' : headers.get('upload-complete') === '?1'),
  };
}

export function offsetOf(answer) {
  const text = answer.headers.get('upload-offset');
  return text === undefined ? undefined : Number(text);
}

// What promise gives, or 'late' after so many milliseconds.
export function within(promise, ms) {
  let timer;
  const late = new Promise((resolve) => { timer = setTimeout(resolve, ms, 'late'); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// One request on a connection of its own. Gives {answer, head, sent}: answer is
// null if none came, head the size of the request's head, sent the bytes of the
// body that the kernel took. patience: milliseconds without any progress until
// the client gives up.
export async function exchange(port, { method, path, headers, body = Buffer.alloc(0), patience = 20000 }) {
  const connection = new Connection(port);
  let answer = null;
  const answered = connection.response(method, { timeout: 600000 })
    .then((value) => { answer = value; }, () => {}).then(() => 'over');
  const first = head({ method, path, headers: [...headers, ['Content-Length', body.length]] });
  connection.send(first);
  let sent = 0;
  while (sent < body.length) {
    const piece = body.subarray(sent, sent + PIECE);
    const taken = connection.send(piece).then(() => 'sent');
    if (await within(Promise.race([answered, taken]), patience) !== 'sent' || connection.closed) break;
    sent += piece.length;
  }
  await within(answered, patience);
  connection.close();
  return { answer, head: first.length, sent };
}

// One upload. Options:
//   data, name     what is sent, and as what
//   id             Upload-Id to choose
//   protocol       tus or ietf(n)
//   port           where; a function is asked before each request
//   base           first part of the path; a function likewise
//   first          bytes to send along with the creation
//   chunk          most bytes of one PATCH
//   extra          more headers for the creation
//   patience       as in exchange
//   fromFront      answer => true if it is the front server's and means that
//                  slipway could not be asked
//   onLost         called with {from, sent, head, kept, number} when it is
//                  known what became of PATCH number `number` without an answer
export class Resumable {
  constructor(options) {
    this.options = {
      protocol: tus, base: '/slipway', first: 0, chunk: Infinity, extra: [],
      fromFront: () => false, onLost: () => {}, timeout: 60000, ...options,
    };
    this.size = options.data.length;
    this.resource = null; // path of the upload below base
    this.told = 0; // the highest offset that the server told
    this.offset = null; // where to go on; null: ask
    this.whole = false;
    this.created = false;
    this.requests = 0;
    this.sent = 0; // bytes of bodies, repeated ones too
    this.lostCreations = 0;
    this.lost = null; // the PATCH whose fate is unknown
    this.deadline = Date.now() + this.options.timeout;
  }

  async #ask(method, path, headers, body) {
    const { port, base, protocol, patience } = this.options;
    assert.ok(Date.now() < this.deadline, `${this.options.name} is not finished in time: ${this}`);
    const value = (x) => (typeof x === 'function' ? x() : x);
    this.requests++;
    const result = await exchange(value(port), {
      method, path: value(base) + path, body, patience, headers: [...protocol.always, ...headers],
    });
    this.sent += result.sent;
    if (result.answer && this.options.fromFront(result.answer)) result.answer = null;
    if (!result.answer || result.answer.status === 423) await sleep(20);
    this.answer = result.answer;
    return result;
  }

  toString() {
    const { status, body } = this.answer ?? {};
    return `${this.options.protocol.name} upload ${this.resource ?? this.options.id} of ${this.size} bytes, told `
      + `${this.told}, last answer ${status} ${body}`;
  }

  #unexpected(what) {
    assert.fail(`unexpected answer to ${what}: ${this}`);
  }

  #hear(answer) {
    const offset = offsetOf(answer);
    assert.ok(Number.isInteger(offset) && offset <= this.size, `offset ${offset}: ${this}`);
    assert.ok(offset >= this.told, `the offset fell from ${this.told} to ${offset}: ${this}`);
    this.told = this.offset = offset;
    this.whole = this.options.protocol.whole(answer, this.size);
  }

  async #create() {
    const { id, name, data, first, extra, protocol } = this.options;
    const body = data.subarray(0, first);
    const { answer } = await this.#ask('POST', '/upload', [
      ...protocol.creation(name, this.size, body.length > 0, body.length === this.size),
      ...extra, ...(id ? [['Upload-Id', id]] : []),
    ], body);
    if (!answer) {
      this.lostCreations++;
    } else if (answer.status === 201) {
      this.resource = /\/upload\/[^/]+$/.exec(answer.headers.get('location') ?? '')?.[0]
        ?? `/upload/${answer.headers.get('upload-id')}`;
      this.created = true;
      if (answer.headers.has('upload-offset') || this.size === 0) this.#hear(answer);
    } else if (answer.status === 409 && id && this.lostCreations > 0) {
      this.resource = `/upload/${id}`;
    } else if (answer.status !== 423) {
      this.#unexpected('a creation');
    }
  }

  async #resume() {
    const { answer } = await this.#ask('HEAD', this.resource, []);
    if (!answer || answer.status === 423) return;
    if (!this.created && [404, 410].includes(answer.status)) {
      // Nobody had promised it: begin again, under another name.
      this.resource = null;
      this.options.id += '_';
      return;
    }
    if (answer.status !== 200 && answer.status !== 204) this.#unexpected('HEAD');
    this.created = true;
    this.#hear(answer);
    // What was sent in a request is known to be kept or lost only now.
    if (this.lost) this.options.onLost({ ...this.lost, kept: this.offset - this.lost.from });
    this.lost = null;
  }

  async #append() {
    const { data, chunk, protocol } = this.options;
    const from = this.offset;
    const body = data.subarray(from, from + chunk);
    const number = this.requests;
    const last = from + body.length === this.size;
    const { answer, ...rest } = await this.#ask('PATCH', this.resource, protocol.append(from, last), body);
    this.offset = null;
    if (answer?.status >= 200 && answer?.status < 300) this.#hear(answer);
    else if (!answer) this.lost = { ...rest, from, number };
    else if (answer.status === 409 && answer.headers.has('upload-offset')) this.#hear(answer);
    else if (answer.status !== 423) this.#unexpected('PATCH');
  }

  // One request: whatever comes next.
  async step() {
    if (!this.resource) await this.#create();
    else if (this.offset === null) await this.#resume();
    else await this.#append();
  }

  // Sends it all, however often it has to begin again.
  async run() {
    while (!this.whole) await this.step();
    return this;
  }
}
