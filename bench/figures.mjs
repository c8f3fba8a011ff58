// What the rounds of a bench come to, and tables of that.

export const median = (list) => {
  const sorted = [...list].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2
}

// What the given part (0..1) of list is not above.
export function quantile(list, part) {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[Math.round(part * (sorted.length - 1))]
}

// The standard error of the median of list, from its middle half, so that
// single outliers do not count.
function uncertainty(list) {
  const middle = quantile(list, 0.75) - quantile(list, 0.25)
  return 1.25 * middle / 1.35 / Math.sqrt(list.length)
}

// rows: [label, samples of each round, reference samples, target or none,
// further cells]. A higher figure is better.
export function ratioTable(title, unit, further, rows) {
  const cells = [['', unit, 'spread', 'ratio', '+-', 'target', ...further]]
  for (const [label, samples, reference, target, ...more] of rows) {
    const ratios = samples.map((s, i) => s / reference[i])
    const ratio = median(ratios)
    cells.push([label, figure(median(samples)),
      `${figure(Math.min(...samples))}..${figure(Math.max(...samples))}`,
      ratio.toFixed(2),
      ratios.every((r) => r === 1) ? '' : uncertainty(ratios).toFixed(2),
      verdict(target, ratio >= target), ...more])
  }
  printTable(title, cells)
}

export const figure = (n) => n.toFixed(n < 10 ? 2 : n < 100 ? 1 : 0)

export const verdict = (target, met) =>
  target === undefined ? '' : `${target} ${met ? 'met' : 'MISSED'}`

export function printTable(title, cells) {
  const widths = cells[0].map((_, i) =>
    Math.max(...cells.map((row) => row[i].length)))
  console.log(`\n${title}`)
  for (const row of cells) {
    console.log('  ' + row.map((cell, i) =>
      i ? cell.padStart(widths[i]) : cell.padEnd(widths[i])).join('  ').trimEnd())
  }
}

export const column = (results, key) => results.map((r) => r[key])

export const percentiles = (results) =>
  ['p50', 'p99'].map((key) => figure(median(column(results, key))))
