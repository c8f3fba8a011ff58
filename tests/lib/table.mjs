// The part of README.md that says what works behind which front server, made
// from the features and the exceptions that the tests hold every server to.
import { exceptions, ofFeature } from './exceptions.mjs';
import { features } from './features.mjs';
import { servers } from './servers.mjs';

export const begin = '<!-- What follows is made by scripts/server-table.mjs. -->\n';
export const end = '<!-- That was it. -->\n';

const row = (cells) => `| ${cells.join(' | ')} |\n`;

// Numbers the reasons in the order in which they are asked for.
class Reasons {
  list = [];

  number(why) {
    if (!this.list.includes(why)) this.list.push(why);
    return this.list.indexOf(why) + 1;
  }
}

function cell(server, { name, best }, reasons) {
  const exception = ofFeature(server, name);
  return exception ? `${exception.seen} (${reasons.number(exception.why)})` : best;
}

function titles(patterns) {
  if (patterns.includes('apache-*')) {
    return ['Apache', ...titles(patterns.filter((pattern) => pattern !== 'apache-*'))];
  }
  return patterns.map((name) => servers[name].title);
}

export function table() {
  const names = Object.keys(servers);
  const reasons = new Reasons();
  const rows = features.map((feature) => row(
    [feature.name, ...names.map((name) => cell(name, feature, reasons))]));
  const others = exceptions.filter(({ cases, tests, why }) => (
    (cases ?? tests) && !reasons.list.includes(why)))
    .map(({ servers: patterns, why }) => `- ${titles(patterns).join('; ')}: ${why}\n`);
  return [
    row(['', ...names.map((name) => servers[name].title)]),
    row(Array(names.length + 1).fill('---')),
    ...rows, '\n',
    ...reasons.list.map((why, i) => `${i + 1}. ${why}\n`), '\n',
    'All else that the tests ask for works alike, but for this:\n\n',
    ...others, '\n',
  ].join('');
}

// README.md with its table replaced.
export function inserted(readme) {
  const from = readme.indexOf(begin) + begin.length;
  const to = readme.indexOf(end);
  if (from < begin.length || to < from) throw new Error('README.md has no place for the table');
  return readme.slice(0, from) + table() + readme.slice(to);
}
