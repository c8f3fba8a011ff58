// A small HTTP/1.1 client on a bare socket: it sends exactly the bytes it is
// told to, malformed ones too, and reads the answer strictly.
import net from 'node:net';

// One connection. Bytes go out with send; response() resolves with the next
// final answer. Works for slow, cut and pipelined requests.
export class Connection {
  #socket;
  #pieces = []; // read, and not yet taken
  #length = 0; // of them all
  #ended = false;
  #error = null;
  #wake = () => {};

  constructor(port, host = '127.0.0.1') {
    this.#socket = net.connect({ port, host, noDelay: true });
    this.#socket.on('data', (data) => {
      this.#pieces.push(data);
      this.#length += data.length;
      this.#wake();
    });
    this.#socket.on('end', () => this.#finish());
    this.#socket.on('close', () => this.#finish());
    // A server that answers early may reset what is still being sent; the
    // answer, if it came, counts.
    this.#socket.on('error', (error) => {
      this.#error = error;
      this.#finish();
    });
  }

  #finish() {
    this.#ended = true;
    this.#wake();
  }

  // Resolves when the kernel has taken the bytes, or nobody wants them.
  send(data) {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) resolve();
      else this.#socket.write(data, () => resolve());
    });
  }

  // Half-close: no more bytes will come.
  end() {
    this.#socket.end();
  }

  close() {
    this.#socket.destroy();
  }

  get closed() {
    return this.#ended;
  }

  async #more(deadline) {
    if (this.#ended) return false;
    const left = deadline - Date.now();
    if (left <= 0) throw new Error('no complete answer in time');
    let timer;
    await new Promise((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, left);
    });
    clearTimeout(timer);
    return true;
  }

  async #until(mark, deadline) {
    for (;;) {
      const at = this.#whole().indexOf(mark);
      if (at >= 0) return this.#take(at + mark.length);
      if (!(await this.#more(deadline))) return null;
    }
  }

  async #exactly(count, deadline) {
    while (this.#length < count) {
      if (!(await this.#more(deadline))) {
        throw new Error(`answer cut: ${this.#length} of ${count} bytes`);
      }
    }
    return this.#take(count);
  }

  #whole() {
    if (this.#pieces.length !== 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0];
  }

  #take(count) {
    const whole = this.#whole();
    this.#pieces = [whole.subarray(count)];
    this.#length -= count;
    return whole.subarray(0, count);
  }

  // Answers with 1xx to the last request so far.
  interim = [];

  // The next answer that is not 1xx, with those that are in its interim; null
  // if the connection ended before one began. method tells whether a body
  // follows.
  async response(method = 'GET', { timeout = 20000 } = {}) {
    const deadline = Date.now() + timeout;
    const interim = [];
    this.interim = interim;
    for (;;) {
      const head = await this.#until('\r\n\r\n', deadline);
      if (!head) {
        if (this.#length > 0) throw new Error('answer cut in its head');
        return null;
      }
      const answer = parseHead(head.toString('latin1'));
      if (answer.status < 200) {
        interim.push(answer);
        continue;
      }
      answer.interim = interim;
      answer.body = await this.#body(answer, method, deadline);
      return answer;
    }
  }

  async #body({ status, headers }, method, deadline) {
    if (method === 'HEAD' || status === 204 || status === 304) {
      return Buffer.alloc(0);
    }
    if (/chunked/i.test(headers.get('transfer-encoding') ?? '')) {
      return this.#chunked(deadline);
    }
    if (headers.has('content-length')) {
      return this.#exactly(Number(headers.get('content-length')), deadline);
    }
    while (await this.#more(deadline));
    if (this.#error) throw this.#error;
    return this.#take(this.#length);
  }

  async #chunked(deadline) {
    const chunks = [];
    for (;;) {
      const line = await this.#until('\r\n', deadline);
      if (!line) throw new Error('answer cut between chunks');
      const size = parseInt(line.toString('latin1'), 16);
      if (!(size >= 0)) throw new Error('malformed chunk size');
      if (size === 0) break;
      chunks.push(await this.#exactly(size, deadline));
      await this.#exactly(2, deadline);
    }
    while ((await this.#until('\r\n', deadline))?.length > 2);
    return Buffer.concat(chunks);
  }
}

function parseHead(text) {
  const [first, ...lines] = text.trimEnd().split('\r\n');
  const match = /^HTTP\/1\.[01] ([0-9]{3})(?: (.*))?$/.exec(first);
  if (!match) throw new Error(`not an HTTP status line: ${first}`);
  const headers = new Map();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`not an HTTP header: ${line}`);
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  return { status: Number(match[1]), reason: match[2] ?? '', headers };
}

// The head of a request. headers: [[name, value], ...], byte strings, sent as
// they are; Host and Connection are added where they are not named.
export function head({ method = 'GET', path = '/', headers = [] }) {
  const named = new Set(headers.map(([name]) => name.toLowerCase()));
  const all = [...headers];
  if (!named.has('host')) all.unshift(['Host', 'localhost']);
  if (!named.has('connection')) all.push(['Connection', 'close']);
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines}\r\n`, 'latin1');
}

// One whole request and its answer. body: string or bytes; length: what to
// announce instead of the true length, or 'none' for chunked; cut: send only
// that many bytes of the body and close, which gives null.
export async function request(port, options) {
  const { method = 'GET', headers = [], length, cut, timeout } = options;
  const body = Buffer.from(options.body ?? '', 'utf8');
  const announced = [...headers];
  const chunked = length === 'none';
  if (chunked) announced.push(['Transfer-Encoding', 'chunked']);
  else if (length !== undefined) announced.push(['Content-Length', length]);
  else if (body.length > 0 || !['GET', 'HEAD'].includes(method)) {
    announced.push(['Content-Length', body.length]);
  }
  const connection = new Connection(port);
  try {
    await connection.send(head({ ...options, headers: announced }));
    if (cut !== undefined) {
      await connection.send(body.subarray(0, cut));
      return null;
    }
    const sending = connection.send(chunked ? asChunk(body) : body);
    const answer = await connection.response(method, { timeout });
    if (!answer) await sending;
    return answer;
  } finally {
    connection.close();
  }
}

function asChunk(body) {
  const last = Buffer.from('0\r\n\r\n');
  if (body.length === 0) return last;
  const size = Buffer.from(`${body.length.toString(16)}\r\n`);
  return Buffer.concat([size, body, Buffer.from('\r\n'), last]);
}

export function json(answer) {
  return JSON.parse(answer.body.toString('utf8'));
}
