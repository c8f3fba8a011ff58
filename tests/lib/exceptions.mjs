// What a front server cannot do by its nature: tests/lib/exceptions.json, the
// only place where a test is left out or changed for a server. Each entry has
//
//   servers   names of lib/servers.mjs; "apache-*" means all of Apache
//   why       the reason, for people: README.md prints it
//   feature   one of lib/features.mjs, and seen, what is seen of it; or else
//   tests     end-to-end tests that are not run, {"file": [names]}, or
//   cases     HTTP cases, {"file": [names]}; names, of tests too, end with *
//             for all that begin so
//   answer    what becomes of those: a status that the server answers itself to
//             the first request under test; "slipway": what the case expects in
//             memory; absent: not run
import fs from 'node:fs';

const url = new URL('exceptions.json', import.meta.url);
export const exceptions = JSON.parse(fs.readFileSync(url, 'utf8'));

export const fits = (pattern, text) => (pattern.endsWith('*')
  ? text.startsWith(pattern.slice(0, -1)) : text === pattern);

export const concerns = ({ servers }, server) => servers.some(
  (pattern) => pattern === server || fits(pattern, server));

// The exception for an HTTP case, if any.
export const ofCase = (server, { file, name }) => exceptions.find((entry) => (
  concerns(entry, server) && entry.cases?.[file]?.some((pattern) => fits(pattern, name))));

// The exceptions for tests of a file.
export const ofTests = (server, file) => exceptions.filter((entry) => (
  entry.tests?.[file] && concerns(entry, server)));

// The exception for a feature, if any.
export const ofFeature = (server, feature) => exceptions.find((entry) => (
  concerns(entry, server) && entry.feature === feature));
