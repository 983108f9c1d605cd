/** Runs the benchmarks named on the command line, or all, and prints a table of each. */
import { cpus, totalmem } from 'node:os';
import { type Bench, consumed, FULL, SMOKE } from './harness.js';
import { benches } from './index.js';

const chosen = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const scale = process.argv.includes('--smoke') ? SMOKE : FULL;
const unknown = chosen.filter((name) => !(name in benches));
if (unknown.length > 0) {
  process.stderr.write(
    `no such benchmark: ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}\n`,
  );
  process.exit(2);
}

const print = (text: string) => process.stdout.write(`${text}\n`);
const [cpu] = cpus();
print(
  `${cpu?.model.trim()} × ${cpus().length}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
);
for (const [name, bench] of Object.entries(benches) as [string, Bench][]) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  print(`\n${name}: ${bench.question}${bench.not ? `\n  not measured: ${bench.not}` : ''}`);
  for (const { name, value, against, bound, holds } of await bench.rows(scale)) {
    const verdict = holds === undefined ? '' : holds ? 'holds' : 'MISSED';
    print(
      `  ${name.padEnd(44)} ${value.padStart(12)}  ${against.padEnd(26)} ${bound.padEnd(14)} ${verdict}`.trimEnd(),
    );
  }
}
print(`\n(results consumed: ${consumed()})`);
