// Processes by their ids, as /proc shows them.
import fs from 'node:fs';
import path from 'node:path';

import { waitFor } from './wait.mjs';

export function alive(pid) {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

export function children(pid) {
  try {
    return fs.readdirSync(`/proc/${pid}/task`).flatMap((task) => (
      fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
        .split(' ').filter(Boolean).map(Number)));
  } catch {
    return [];
  }
}

// The process and all below it.
export const family = (pid) => [pid, ...children(pid).flatMap(family)];

// The name of the program that a process runs; '' if it is gone.
export function program(pid) {
  try {
    return path.basename(fs.readlinkSync(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, '');
  } catch {
    return '';
  }
}

// Resolves when the processes are gone; those that take longer than timeout
// are killed.
export async function ended(pids, timeout = 8000) {
  const gone = () => pids.every((pid) => !alive(pid));
  await waitFor('the processes to end', gone, { timeout }).catch(() => {
    pids.filter(alive).forEach((pid) => process.kill(pid, 'SIGKILL'));
  });
}
