// The page at /: sends files, shows how far they are, lists what is stored.
//
// Rules:
// - It improves index.html, whose form does the same without script.
// - Text from outside (names, notes, problems) enters as textContent only.
// - Each file is a request of its own with an upload id of its own, which
//   names it to progress and cancel. At most PARALLEL are under way.
// - A transfer is waiting, sending, finishing, cancelling, and ends as stored,
//   cancelled or failed. 100 % means stored: bytes that have left the browser
//   are not yet safe.

const PARALLEL = 3;
const PAGE_SIZE = 20;
const CANCEL_WAIT_MS = 3000;
const CANCEL_TRIES = 4;
const CANCEL_STEP_MS = 250;
const CONFIRM_MS = 6000;
const OUTCOME_TRIES = 6;
const OUTCOME_STEP_MS = 1000;

const api = (path) => new URL(`slipway/${path}`, document.baseURI);
const byId = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const newRow = (id) => byId(id).content.firstElementChild.cloneNode(true);

function say(text) {
  byId('status').textContent = text;
}

function sizeText(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1023.5 && unit < units.length - 1; unit++) value /= 1024;
  const maximumFractionDigits = value < 10 ? 1 : 0;
  return `${value.toLocaleString('en', { maximumFractionDigits })} ${units[unit]}`;
}

function dateText(date) {
  const style = { dateStyle: 'medium', timeStyle: 'short' };
  return new Date(date).toLocaleString(undefined, style);
}

// --- Problems ---

// members: title, detail, remedy, limit and limit_value of RFC 9457.
class Problem extends Error {
  constructor(members, status = 0) {
    super(members.title);
    this.members = members;
    this.status = status;
  }
}

function answeredProblem(status, text) {
  let members = null;
  try {
    members = JSON.parse(text);
  } catch {
    // The front server answers for itself in HTML.
  }
  if (typeof members?.title === 'string') return new Problem(members, status);
  return new Problem({ title: `Error ${status}`, detail: 'The server gave no reason.' }, status);
}

function limitText({ limit, limit_value: value }) {
  const known = limit?.endsWith('_size') ? sizeText(value) : value;
  return limit ? `Limit: ${[limit, known].filter(Boolean).join(', ')}.` : '';
}

function showProblem(place, { members }) {
  const title = document.createElement('strong');
  const rest = [members.detail, members.remedy, limitText(members)].filter(Boolean);
  title.textContent = `${members.title}.`;
  place.replaceChildren(title, ` ${rest.join(' ')}`);
  place.hidden = false;
}

// The JSON that the server answers, null if it is empty; throws a Problem.
async function call(path, options = {}) {
  let response;
  let text;
  try {
    response = await fetch(path, { headers: { Accept: 'application/json' }, ...options });
    text = await response.text();
  } catch {
    throw new Problem({ title: 'No connection', detail: 'The server cannot be reached.' });
  }
  if (!response.ok) throw answeredProblem(response.status, text);
  return text ? JSON.parse(text) : null;
}

// --- Limits ---

async function loadLimits() {
  try {
    const { limits } = await call(api('status'));
    const { min_file_size: least, accept } = limits;
    const most = Math.min(...[limits.max_file_size, limits.max_request_size].filter(Boolean));
    byId('files').accept = accept;
    byId('limits').textContent = [
      most < Infinity ? `At most ${sizeText(most)} per file.` : 'Files of any size.',
      least ? `At least ${sizeText(least)}.` : '',
      accept ? `Accepted: ${accept}.` : '',
    ].join(' ');
    return limits;
  } catch (problem) {
    byId('limits').textContent = problem.members.detail;
    return {};
  }
}

// Media types are left to the server, which goes by its own table.
function nameAccepted(accept, name) {
  const patterns = accept.toLowerCase().split(',').map((s) => s.trim()).filter(Boolean);
  return patterns.length === 0 || patterns.some((pattern) =>
    !pattern.startsWith('.') || name.toLowerCase().endsWith(pattern));
}

// Why the server would refuse the file anyway; null if it may go.
function refusal({ file, isFolder }, limits) {
  const because = (title, limit, detail = 'Nothing was sent.') =>
    new Problem({ title, detail, limit, limit_value: limits[limit] });
  const over = (limit) => limits[limit] && file.size > limits[limit];
  if (isFolder) return because('A folder', undefined, 'Choose the files in it instead.');
  if (over('max_file_size')) return because('File too large', 'max_file_size');
  if (over('max_request_size')) return because('File too large', 'max_request_size');
  if (file.size < limits.min_file_size) return because('File too small', 'min_file_size');
  if (nameAccepted(limits.accept ?? '', file.name)) return null;
  return because('File type not accepted', 'accept');
}

// --- Transfers ---

const stateText = {
  waiting: 'Waiting',
  sending: '0 %',
  finishing: 'Finishing…',
  cancelling: 'Cancelling…',
  cancelled: 'Cancelled',
  failed: 'Failed',
  stored: 'Stored',
};
let limitsKnown = loadLimits();
const queue = [];
let underWay = 0;

const part = (transfer, name) => transfer.row.querySelector(name);
const hasEnded = (state) => ['cancelled', 'failed', 'stored'].includes(state);

function showProgress(transfer, share) {
  const shown = transfer.state === 'stored' ? 1 : Math.min(share, 0.99);
  part(transfer, 'progress').value = shown;
  if (transfer.state === 'sending') {
    part(transfer, '.state').textContent = `${Math.floor(shown * 100)} %`;
  }
}

// A button that goes away must not take the focus with it.
function setState(transfer, state) {
  const { row, retryable } = transfer;
  const [cancelButton, retryButton] = [part(transfer, '.cancel'), part(transfer, '.retry')];
  const focused = row.contains(document.activeElement) && document.activeElement;
  transfer.state = state;
  row.dataset.state = state;
  part(transfer, '.state').textContent = stateText[state];
  cancelButton.hidden = hasEnded(state);
  retryButton.hidden = state === 'stored' || !hasEnded(state) || !retryable;
  if (focused?.hidden) [cancelButton, retryButton, row].find((e) => !e.hidden).focus();
  if (hasEnded(state)) byId('clear').hidden = false;
}

function end(transfer, state) {
  if (transfer.xhr) underWay--;
  transfer.xhr = null;
  setState(transfer, state);
  showProgress(transfer, 0);
  say(`${transfer.file.name}: ${stateText[state]}.`);
  sendNext();
}

function fail(transfer, problem) {
  showProblem(part(transfer, '.problem'), problem);
  end(transfer, 'failed');
  say(`${transfer.file.name}: ${problem.members.title}.`);
}

function succeed(transfer, files) {
  end(transfer, 'stored');
  for (const file of files) listNew(file, transfer.note);
}

// The connection broke before an answer came. The server knows the outcome,
// perhaps only in a moment.
async function findOutcome(transfer, xhr) {
  let outcome = null;
  for (let i = 0; i === 0 || (i < OUTCOME_TRIES && outcome?.state === 'receiving'); i++) {
    if (i > 0) await pause(OUTCOME_STEP_MS);
    outcome = await call(api(`progress/${transfer.id}`)).catch(() => null);
    if (transfer.xhr !== xhr || transfer.state === 'cancelling') return;
  }
  if (outcome?.state === 'stored') return succeed(transfer, outcome.files);
  const detail = outcome?.state === 'failed' && outcome.error !== 'client-gone'
    ? `The server refused it: ${outcome.error.replaceAll('-', ' ')}.`
    : 'The connection ended before the server answered.';
  fail(transfer, new Problem({ title: 'Not stored', detail }));
}

function answered(transfer, xhr) {
  if (xhr.status === 201) succeed(transfer, JSON.parse(xhr.responseText).files);
  else if (transfer.state === 'cancelling') end(transfer, 'cancelled');
  else fail(transfer, answeredProblem(xhr.status, xhr.responseText));
}

function newUploadId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

function send(transfer) {
  const xhr = new XMLHttpRequest();
  const form = new FormData();
  if (transfer.note) form.append('note', transfer.note);
  form.append('files', transfer.file);
  underWay++;
  Object.assign(transfer, { xhr, id: newUploadId() });
  setState(transfer, 'sending');
  xhr.upload.onprogress = ({ loaded, total }) => showProgress(transfer, loaded / total);
  xhr.upload.onload = () => {
    if (transfer.state === 'sending') setState(transfer, 'finishing');
    showProgress(transfer, 1);
  };
  xhr.onload = () => answered(transfer, xhr);
  xhr.onerror = () => { if (transfer.state !== 'cancelling') findOutcome(transfer, xhr); };
  xhr.open('POST', api('upload'));
  xhr.setRequestHeader('Accept', 'application/json');
  xhr.setRequestHeader('Upload-Id', transfer.id);
  xhr.send(form);
}

function sendNext() {
  while (underWay < PARALLEL && queue.length > 0) send(queue.shift());
}

function enqueue(transfer) {
  part(transfer, '.problem').hidden = true;
  setState(transfer, 'waiting');
  queue.push(transfer);
  sendNext();
}

// false if the upload is over already. One that the server has not met yet may
// still be on its way there.
async function tellCancel({ id }) {
  for (let i = 1; ; i++) {
    const signal = AbortSignal.timeout(CANCEL_WAIT_MS);
    try {
      await call(api(`cancel/${id}`), { method: 'POST', signal });
      return true;
    } catch ({ status }) {
      if (status !== 404 || i === CANCEL_TRIES) return status !== 409;
    }
    await pause(CANCEL_STEP_MS);
  }
}

// The server is told before the request is aborted, so that it knows a cancel
// from a lost connection.
async function cancel(transfer) {
  const { xhr, state } = transfer;
  if (state === 'waiting') queue.splice(queue.indexOf(transfer), 1);
  if (state === 'waiting') return end(transfer, 'cancelled');
  if (state === 'cancelling') return;
  setState(transfer, 'cancelling');
  const isCancelled = await tellCancel(transfer);
  if (transfer.state !== 'cancelling') return;
  if (isCancelled) {
    xhr.abort();
    end(transfer, 'cancelled');
  } else {
    setState(transfer, 'finishing');
    if (xhr.readyState === XMLHttpRequest.DONE) findOutcome(transfer, xhr);
  }
}

function makeTransfer({ file, isFolder }, note) {
  const transfer = { file, note, row: newRow('transfer-row'), xhr: null, retryable: false };
  const set = (name, members) => Object.assign(part(transfer, name), members);
  set('.name', { textContent: file.name });
  set('.size', { textContent: isFolder ? '' : sizeText(file.size) });
  set('progress', { ariaLabel: `Progress of ${file.name}` });
  set('.cancel', { ariaLabel: `Cancel ${file.name}`, onclick: () => cancel(transfer) });
  set('.retry', { ariaLabel: `Retry ${file.name}`, onclick: () => enqueue(transfer) });
  return transfer;
}

// items: [{file, isFolder}]
async function add(items) {
  const note = byId('note').value.trim();
  const limits = await limitsKnown;
  const transfers = items.map((item) => makeTransfer(item, note));
  byId('transfers').append(...transfers.map(({ row }) => row));
  byId('transfers-part').hidden = false;
  transfers.forEach((transfer, i) => {
    const problem = refusal(items[i], limits);
    transfer.retryable = !problem;
    if (problem) fail(transfer, problem);
    else enqueue(transfer);
  });
}

function clearEnded() {
  const rows = [...byId('transfers').children];
  const old = rows.filter((row) => hasEnded(row.dataset.state));
  old.forEach((row) => row.remove());
  byId('clear').hidden = true;
  byId('transfers-part').hidden = old.length === rows.length;
  byId('choose').focus();
}

// --- Stored files ---

const listed = new Map(); // id -> row
let cursor = null; // of the next page

function showEmpty() {
  byId('empty').hidden = listed.size > 0 || cursor !== null || !byId('list-problem').hidden;
}

async function deleteFile(file, row) {
  try {
    await call(file.delete, { method: 'DELETE' });
  } catch (problem) {
    if (problem.status !== 404) return showProblem(row.querySelector('.problem'), problem);
  }
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  (neighbour?.querySelector('.delete') ?? byId('stored-title')).focus();
  row.remove();
  listed.delete(file.id);
  showEmpty();
  say(`${file.name}: Deleted.`);
}

// The first click asks, the second one acts; a double click is one click.
function confirmTwice(button, name, act) {
  let timer = 0;
  const ask = (sure) => {
    clearTimeout(timer);
    button.classList.toggle('sure', sure);
    button.textContent = sure ? 'Really delete?' : 'Delete';
    button.ariaLabel = `${button.textContent} ${name}`;
    if (sure) timer = setTimeout(ask, CONFIRM_MS, false);
  };
  button.onclick = ({ detail }) => {
    if (detail > 1) return;
    const sure = button.classList.contains('sure');
    ask(!sure);
    if (sure) act();
  };
  button.onblur = () => ask(false);
  button.onkeydown = ({ key }) => { if (key === 'Escape') ask(false); };
  ask(false);
}

function makeStored(file) {
  const row = newRow('stored-row');
  const set = (name, members) => Object.assign(row.querySelector(name), members);
  const { name, created, download, metadata } = file;
  const count = file.directory ? `${file.count} files, ` : '';
  set('.name', { textContent: name, href: file.url });
  set('.size', { textContent: count + sizeText(file.size) });
  set('time', { textContent: dateText(created), dateTime: created });
  set('.note', { textContent: [metadata?.note ?? []].flat().join(', ') });
  set('.download', { href: download ?? '', hidden: !download, ariaLabel: `Download ${name}` });
  confirmTwice(row.querySelector('.delete'), name, () => deleteFile(file, row));
  listed.set(file.id, row);
  return row;
}

// The answer to an upload has neither the date nor the fields of the form.
function listNew(file, note) {
  const created = new Date().toISOString();
  byId('stored').prepend(makeStored({ ...file, created, metadata: { note } }));
  showEmpty();
  catchUp();
}

// What could not be loaded with the page, once the server answers.
async function catchUp() {
  if (!byId('list-problem').hidden) loadMore();
  if (Object.keys(await limitsKnown).length === 0) limitsKnown = loadLimits();
}

async function loadMore() {
  const query = new URLSearchParams({ limit: PAGE_SIZE, ...(cursor && { cursor }) });
  try {
    const page = await call(api(`files?${query}`));
    const rows = page.files.filter(({ id }) => !listed.has(id)).map(makeStored);
    byId('stored').append(...rows);
    cursor = page.next;
    byId('list-problem').hidden = true;
    if (document.activeElement === byId('more')) rows[0]?.querySelector('a').focus();
  } catch (problem) {
    showProblem(byId('list-problem'), problem);
  }
  byId('more').hidden = cursor === null;
  showEmpty();
}

// --- Choosing and dropping ---

function droppedItems({ items }) {
  return Array.from(items).filter(({ kind }) => kind === 'file').map((item) => ({
    file: item.getAsFile(),
    isFolder: item.webkitGetAsEntry()?.isDirectory ?? false,
  }));
}

// The whole page takes files: one dropped beside the zone would replace it.
function acceptDrops() {
  const showOver = (is) => byId('zone').classList.toggle('over', is);
  const onFiles = (type, act) => document.addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    act(event);
  });
  onFiles('dragover', () => showOver(true));
  onFiles('dragleave', ({ relatedTarget }) => { if (!relatedTarget) showOver(false); });
  onFiles('drop', ({ dataTransfer }) => {
    showOver(false);
    add(droppedItems(dataTransfer));
  });
}

function start() {
  const input = byId('files');
  const open = () => input.click();
  document.documentElement.classList.add('script');
  input.required = false;
  input.onchange = () => {
    add(Array.from(input.files, (file) => ({ file, isFolder: false })));
    input.value = '';
  };
  byId('choose').onclick = open;
  byId('form').onsubmit = (event) => {
    event.preventDefault();
    open();
  };
  byId('clear').onclick = clearEnded;
  byId('more').onclick = loadMore;
  acceptDrops();
  loadMore();
}

start();
