// The checks of `make lint` for all JavaScript: the page runs in a browser,
// everything else in node.
const rules = {
  'no-undef': 'error',
  'no-unused-vars': 'error',
  'no-var': 'error',
  'prefer-const': 'error',
  eqeqeq: 'error',
  'no-implicit-globals': 'error',
  'no-unreachable': 'error',
  'no-constant-condition': ['error', { checkLoops: false }],
  'no-dupe-keys': 'error',
  'no-fallthrough': 'error',
  'no-useless-escape': 'error',
  'no-eval': 'error',
  'no-promise-executor-return': 'off',
  'require-await': 'error',
}
const names = (list) => Object.fromEntries(list.split(' ')
  .map((name) => [name, 'readonly']))
const both = 'URL URLSearchParams console fetch setTimeout clearTimeout ' +
  'setInterval clearInterval crypto performance AbortController TextEncoder ' +
  'TextDecoder structuredClone queueMicrotask Blob FormData Event AbortSignal'

export default [
  { ignores: ['**/node_modules/**', '**/build/**', '**/run/**'] },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: names(`${both} process Buffer setImmediate window document ` +
        'HTMLElement getComputedStyle File DataTransfer'),
    },
    rules,
  },
  {
    files: ['**/htdocs/*.js'],
    languageOptions: {
      globals: names(`${both} window document navigator location ` +
        'XMLHttpRequest File HTMLElement CustomEvent matchMedia'),
    },
    rules,
  },
]
