/** metrics, windows and compare, with the library itself on a folder. Run `npm run build` first. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../../src/cli/commands/index.js';
import { loadLibrary } from '../../../src/cli/library.js';
import { Crucible } from '../../../src/index.js';
import { countsOf } from '../../support/counts.js';
import { runInMemory } from '../support/environment.js';

const CONTROL = 'c0c0c0c0c0c0c0c0';
const HEDGED = 'ededededededed00';
const EMPTY = 'eeeeeeeeeeeeeeee';
const START = Date.UTC(2026, 0, 2, 12) * 1000;
const SECOND = 1e6;

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-analysis-'));
  await using crucible = new Crucible({ dir });
  for (const [id, name, meanMs, costUsd, failEvery] of [
    [CONTROL, 'control', 500, 0.002, 20],
    [HEDGED, 'hedged', 300, 0.003, 50],
  ] as const) {
    const experiment = crucible.startExperiment({
      id,
      name,
      condition: name,
      columns: { region: 'dict', turn: 'u32' },
    });
    const recorders = ['a', 'b', 'a'].map((model, i) =>
      experiment.recorder('llm.stop', {
        model: `model-${model}`,
        provider: 'p',
        region: ['eu', 'us'][i % 2],
      }),
    );
    // Latencies evenly around their mean; one request a second.
    for (let i = 0; i < 200; i++) {
      const latencyMs = meanMs * (0.5025 + i / 200);
      const failed = i % failEvery === failEvery - 1;
      const cost = costUsd * (0.75 + (i % 8) / 16);
      recorders[i % 3]!.recordAt(START + i * SECOND, latencyMs, cost, 100 + (i % 5), 20, !failed);
    }
    experiment.captureAt(START + 300 * SECOND, 'llm.note', {}, { why: 'done', code: 7 });
    await experiment.flush();
    await experiment.stop();
  }
  await crucible.startExperiment({ id: EMPTY, name: 'empty' }).stop();
});
afterAll(() => rmSync(dir, { recursive: true }));

const run = (...argv: string[]) => runInMemory([...argv, '--dir', dir], commands, { loadLibrary });
async function text(...argv: string[]) {
  const { status, stdout, stderr } = await run(...argv);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}
const json = async (...argv: string[]) => JSON.parse(await text(...argv, '--json'));

describe('crucible metrics', () => {
  it('shows every metric of one experiment', async () => {
    expect(await text('metrics', 'c0')).toMatchInlineSnapshot(`
      "control  c0c0c0c0c0c0c0c0 · control
        201 events, 2026-01-02T12:00:00Z to 2026-01-02T12:05:00Z (5 min 0 s)
        event     events  mean, ms    p50    p95    p99  cost, USD  success, %   95 % interval  tokens
        llm.stop     200     500.0  500.0  723.9  743.8     0.3875       95.00  91.04 to 97.26  24,400
        llm.note       1         -      -      -      -          -           -               -       -

      all events together
        requests      decided           200
                      succeeded         190
                      failed             10
                      success, %      95.00
                      95 % low        91.04
                      95 % high       97.26
                      SLA met, %       none
        latency, ms   count             200
                      mean            500.0
                      std dev         144.7
                      min             251.2
                      p50             500.0
                      p90             699.0
                      p95             723.9
                      p99             743.8
                      p99.9           748.3
                      max             748.8
        cost, USD     count             200
                      total          0.3875
                      mean         0.001937
                      median       0.001937
                      a request    0.001937
        tokens        count             200
                      prompt         20,400
                      completion      4,000
                      total          24,400
        mean tokens   prompt          102.0
                      completion       20.0
                      total           122.0
      "
    `);
  });

  it('shows a line for each group', async () => {
    expect(await text('metrics', HEDGED, '--by', 'model')).toMatchInlineSnapshot(`
      "hedged  ededededededed00 · hedged
        model    events  mean, ms    p50    p95    p99  cost, USD  success, %   95 % interval  tokens
        model-a     133     299.6  299.3  433.3  445.3     0.3863       98.50  94.68 to 99.59  16,225
        model-b      67     300.8  300.8  434.4  446.3     0.1950       97.01  89.75 to 99.18   8,175
        (none)        1         -      -      -      -          -           -               -       -
      "
    `);
    const byRegion = await text('metrics', HEDGED, '--by', 'region', '--event', 'llm.stop');
    expect(byRegion).toMatch(/\n {2}region +events .*\n {2}eu +133 .*\n {2}us +67 .*\n$/);
    expect(await text('metrics', HEDGED, '--by', 'condition')).toMatch(/\n {2}hedged +201 /);
    expect(await text('metrics', HEDGED, '--by', 'eventName')).toMatch(/\n {2}llm\.note +1 /);
  });

  it('prints with --json what the help says', async () => {
    const all = await json('metrics', CONTROL);
    expect(all).toMatchObject({
      id: CONTROL,
      name: 'control',
      condition: 'control',
      counts: countsOf({ captured: 201 }),
      filter: null,
      metrics: {
        summary: { totalEvents: 201, timeRange: { start: START, end: START + 300 * SECOND } },
        latency: { count: 200, mean: 500 },
      },
    });
    const by = await json('metrics', CONTROL, '--by', 'model', '--success');
    expect(by).toMatchObject({
      filter: { success: true },
      by: 'model',
      groups: [{ key: 'model-a', metrics: { latency: { count: expect.any(Number) } } }, { key: 'model-b' }],
    });
    const said = commands.find(({ name }) => name === 'metrics')!.json!.join('\n');
    for (const key of [...Object.keys(all), ...Object.keys(by), ...Object.keys(all.metrics)]) {
      expect(said).toMatch(new RegExp(`\\b${key}\\b`));
    }
  });

  it('counts only the events that pass every filter', async () => {
    const count = async (...argv: string[]) => {
      const { metrics } = await json('metrics', CONTROL, ...argv);
      return metrics.summary.totalEvents;
    };
    expect(await count('--event', 'llm.stop')).toBe(200);
    expect(await count('--model', 'model-b')).toBe(67);
    expect(await count('--provider', 'p', '--failed')).toBe(10);
    expect(await count('--condition', 'other')).toBe(0);
    expect(await count('--from', '2026-01-02T12:01Z', '--to', '2026-01-02T12:01')).toBe(60);
    expect(await count('--to', `${START}`)).toBe(1);
    expect(await count('--where', 'region=us')).toBe(67);
    expect(await count('--where', 'code=7', '--where', 'why=done')).toBe(1);
    expect(await count('--where', 'code="7"')).toBe(0);
  });

  it('says in a sentence that nothing passes, and what there would be', async () => {
    expect(await text('metrics', CONTROL, '--event', 'llm.stpo')).toBe(
      [
        `control  ${CONTROL} · control`,
        '  only: event llm.stpo',
        'There are no such events. In all there are 201 events, 2026-01-02T12:00:00Z to 2026-01-02T12:05:00Z (5 min 0 s):',
        'llm.stop (200), llm.note (1).',
        '',
      ].join('\n'),
    );
    expect(await text('metrics', EMPTY, '--by', 'model')).toContain('empty has no events.\n');
  });

  it('looks at one that is being captured, as far as it is on disk', async () => {
    const running = mkdtempSync(join(tmpdir(), 'crucible-analysis-'));
    try {
      await using crucible = new Crucible({ dir: running });
      const experiment = crucible.startExperiment({ name: 'running' });
      experiment.recorder('e').record(1);
      await experiment.flush();
      const argv = ['metrics', experiment.id, '--dir', running];
      const { status, stdout } = await runInMemory(argv, commands, { loadLibrary });
      expect(status).toBe(0);
      expect(stdout).toMatch(/\n {2}1 event, /);
      experiment.recorder('e').record(2);
      expect(experiment.counts.captured).toBe(2);
    } finally {
      rmSync(running, { recursive: true });
    }
  });

  it('refuses a key that nothing can be grouped by, and names those that would do', async () => {
    expect(await run('metrics', CONTROL, '--by', 'turn')).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringContaining(
        '--by expects eventName, model, provider, condition or a declared column (region), got "turn"',
      ),
    });
  });

  it('says what is missing from the figures', async () => {
    const damaged = mkdtempSync(join(tmpdir(), 'crucible-analysis-'));
    try {
      execFileSync('cp', ['-r', join(dir, CONTROL), damaged]);
      const segment = join(damaged, CONTROL, '000001.arrows');
      const bytes = readFileSync(segment);
      bytes[bytes.length - 20]! ^= 1;
      writeFileSync(segment, bytes);
      const { status, stdout } = await runInMemory(['metrics', 'c0', '--dir', damaged], commands, {
        loadLibrary,
      });
      expect(status).toBe(0);
      expect(stdout).toMatch(/! \d+ events? of control dropped or damaged, and not in these figures/);
    } finally {
      rmSync(damaged, { recursive: true });
    }
  });
});

describe('crucible windows', () => {
  it('shows a line for each window', async () => {
    expect(await text('windows', 'c0', '--size', '60s')).toMatchInlineSnapshot(`
      "control  c0c0c0c0c0c0c0c0 · control
        5 windows of 60s
        start                 events  mean, ms    p50    p95    p99  cost, USD  tokens  success, %
        2026-01-02T12:00:00Z      60     325.0  325.0  391.4  397.3     0.1153   7,320       95.00
        2026-01-02T12:01:00Z      60     475.0  475.0  541.4  547.3     0.1173   7,320       95.00
        2026-01-02T12:02:00Z      60     625.0  625.0  691.4  697.3     0.1153   7,320       95.00
        2026-01-02T12:03:00Z      20     725.0  725.0  746.4  748.3     0.0398   2,440       95.00
        2026-01-02T12:05:00Z       1         -      -      -      -     0.0000       0           -
      "
    `);
  });

  it('takes step, alignment and quantiles, and shows the last windows', async () => {
    const stdout = await text(
      ...[
        'windows',
        CONTROL,
        '--size',
        '2m',
        '--step',
        '30s',
        '--align',
        'epoch',
        '--quantiles',
        '0.25,0.999',
      ],
      ...['--event', 'llm.stop', '--limit', '2'],
    );
    expect(stdout).toMatchInlineSnapshot(`
      "control  c0c0c0c0c0c0c0c0 · control
        only: event llm.stop
        7 windows of 2m, one every 30s
        … 5 earlier windows left out: --limit N shows more, --from and --to others, --json all
        start                 events  mean, ms    p25   p999  cost, USD  tokens  success, %
        2026-01-02T12:01:00Z     120     550.0  475.6  698.5     0.2325  14,640       95.00
        2026-01-02T12:01:30Z     110     612.5  544.4  748.5     0.2139  13,420       94.55
      "
    `);
  });

  it('has a column for each outcome that is asked for', async () => {
    const of = ['--of', 'tokensTotal.p90,success,costUsd/success', '--event', 'llm.stop', '--limit', '2'];
    expect(await text('windows', CONTROL, '--size', '2m', ...of)).toMatchInlineSnapshot(`
      "control  c0c0c0c0c0c0c0c0 · control
        only: event llm.stop
        2 windows of 2m
        start                 events  mean, ms    p50    p95    p99  cost, USD  tokens  success, %  tokensTotal.p90  success, %  costUsd/success
        2026-01-02T12:00:00Z     120     400.0  400.0  533.9  545.8     0.2325  14,640       95.00            124.0        95.0         0.002039
        2026-01-02T12:02:00Z      80     650.0  650.0  738.9  746.8     0.1550   9,760       95.00            124.0        95.0         0.002039
      "
    `);
    const { windows } = await json('windows', CONTROL, '--size', '2m', ...of);
    expect(windows[0].outcomes.success).toMatchObject({ kind: 'rate', n: 120, successes: 114 });
    expect(windows[0].outcomes['costUsd/success'].estimate).toBeCloseTo(windows[0].totalCost / 114, 9);
    const refused = await run('windows', CONTROL, '--size', '2m', '--of', 'scor');
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('--of expects');
  });

  it('gives all windows as JSON, whatever the limit', async () => {
    const document = await json('windows', CONTROL, '--size', '10s', '--limit', '1', '--failed');
    expect(document).toMatchObject({
      id: CONTROL,
      filter: { success: false },
      sizeUs: 10e6,
      stepUs: 10e6,
      align: 'first',
      counts: { captured: 201 },
    });
    expect(document.windows).toHaveLength(10);
    expect(document.windows[0]).toEqual({
      windowStart: START + 19 * SECOND,
      windowEnd: START + 29 * SECOND,
      eventCount: 1,
      meanLatency: expect.any(Number),
      stdDevLatency: null,
      latencyQuantiles: { p50: expect.any(Number), p95: expect.any(Number), p99: expect.any(Number) },
      totalCost: expect.closeTo(0.002 * (0.75 + 3 / 16)),
      successCount: 0,
      failureCount: 1,
      promptTokens: 104,
      completionTokens: 20,
    });
    const said = commands.find(({ name }) => name === 'windows')!.json!.join('\n');
    for (const key of [...Object.keys(document), ...Object.keys(document.windows[0])]) {
      expect(said).toMatch(new RegExp(`\\b${key}\\b`));
    }
  });

  it('takes very short windows where the time, or the events, are few enough', async () => {
    expect((await json('windows', CONTROL, '--size', '1us')).windows).toHaveLength(201);
    const short = ['--size', '10ms', '--step', '100us', '--from', `${START}`, '--to', `${START + SECOND}`];
    expect((await json('windows', CONTROL, ...short)).windows).toHaveLength(2);
    expect((await json('windows', CONTROL, '--size', '1h', '--step', '1us')).windows).toHaveLength(1);
  });

  it('says in a sentence that nothing passes', async () => {
    expect(await text('windows', CONTROL, '--size', '1m', '--model', 'x')).toContain(
      'There are no such events.',
    );
    expect(await text('windows', EMPTY, '--size', '1m')).toContain('empty has no events.');
  });

  it.each([
    [[], 'windows needs --size, such as --size 60s'],
    [['--size', '60'], '--size expects a duration such as 500ms, 60s, 5m or 1h, got "60"'],
    [['--size', '60s', '--step', '0s'], '--step expects a duration'],
    [
      ['--size', '60s', '--quantiles', '0.5,50'],
      '--quantiles expects numbers from 0 to 1, such as 0.5,0.95, got "50"',
    ],
    [['--size', '60s', '--align', 'last'], '--align expects first or epoch'],
    [['--size', '1s', '--step', '1us'], '--step 1us would make up to 201,000,000 windows'],
    [['--size', '1h', '--step', '1us', '--align', 'epoch'], 'would make up to 300,000,002 windows'],
    [['--size', '60s', '--limit', '0'], '--limit expects an integer of at least 1'],
  ])('refuses %j', async (argv, message) => {
    expect(await run('windows', CONTROL, ...argv)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringContaining(message),
    });
  });
});

describe('crucible compare', () => {
  it('decides by roles and margins, and looks at segments', async () => {
    const argv = ['compare', 'c0', 'ed', '--event', 'llm.stop', '--metrics'];
    const segments = ['--segment', 'eu:region=eu', '--segment', 'eu:latencyMs>0'];
    const held = await text(...argv, 'latencyMs:primary,costUsd:guardrail:margin=80%', ...segments);
    expect(held).toContain('→ By its primary outcome and guardrails: better.');
    expect(held.replaceAll(/\s+/g, ' ')).toContain('In the segment eu: Compared with control, hedged had');
    const broken = await text(...argv, 'latencyMs:primary,costUsd:guardrail:margin=5%');
    expect(broken).toContain('→ By its primary outcome and guardrails: worse.');
    expect(await run(...argv, 'latencyMs', '--segment', 'eu')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--segment expects NAME:TEST, got "eu"'),
    });
  });

  it('shows differences, tests and a verdict', async () => {
    expect(await text('compare', 'c0', 'ed', '--event', 'llm.stop')).toMatchInlineSnapshot(`
      "hedged against control
        events of llm.stop; not in pairs: fewer than two samples are in both arms
                            control    hedged  difference           95 % interval  change, %  result
        mean latency, ms      500.0     300.0      -200.0        -223.5 to -176.5      -40.0  better
        p95 latency, ms       723.9     434.3      -289.5        -306.5 to -269.6      -40.0  better
        mean cost, USD     0.001937  0.002906   +0.000969  +0.000897 to +0.001041      +50.0  worse
        success, %            95.00     98.00       +3.00          -0.78 to +7.14             unclear
        mean tokens          122.00    122.00        0.00          -0.28 to +0.28        0.0  unclear
        total cost, USD      0.3875    0.5813     +0.1938                              +50.0
        events, all kinds       201       201           0                                0.0

                      values     effect size                p  adjusted  test
        mean latency  200 / 200  Hedges' g -1.67      < 0.001   < 0.001  Welch two-sample t-test
                                 Cliff's delta -0.73  < 0.001            Mann-Whitney U test
        p95 latency   200 / 200                       < 0.001   < 0.001  percentile bootstrap of order statistics
        mean cost     200 / 200  Hedges' g +2.64      < 0.001   < 0.001  Welch two-sample t-test
                                 Cliff's delta +0.95  < 0.001            Mann-Whitney U test
        success       200 / 200  Cohen's h +0.17        0.103     0.205  two-proportion z-test
        mean tokens   200 / 200  Hedges' g 0.00         1.000     1.000  Welch two-sample t-test
                                 Cliff's delta 0.00     1.000            Mann-Whitney U test

      → Compared with control, hedged had a lower mean latency (-200 ms, -40 %; 95 % interval -223 to
        -177 ms), a lower p95 latency (-290 ms, -40 %; 95 % interval -306 to -270 ms) and a higher mean
        cost (+$0.00097, +50 %; 95 % interval +$0.00090 to +$0.00104). No difference is shown in success
        rate (+3.00 percentage points; 95 % interval -0.78 to +7.14 percentage points) or mean token count
        (0.000 tokens, 0.0 %; 95 % interval -0.279 to +0.279 tokens). To be read with care: values that
        follow each other are alike, so intervals may be too narrow.
      ! consecutive latencies of control are alike (correlation 0.98): 200 are worth about 2 independent
        ones
      ! consecutive latencies of hedged are alike (correlation 0.98): 200 are worth about 2 independent
        ones
      ! consecutive costs of control are alike (correlation 0.35): 200 are worth about 97 independent ones
      ! consecutive costs of hedged are alike (correlation 0.34): 200 are worth about 97 independent ones

      Intervals of 95 %, for each metric alone; significance at 5 %, 5 p-values adjusted together by Holm.
      Bootstrap of 10,000 resamples, seed 1.
      "
    `);
  });

  it('prints the whole comparison with --json', async () => {
    const document = await json(
      'compare',
      CONTROL,
      HEDGED,
      '--metrics',
      'latencyMean,successRate',
      '--alpha',
      '0.01',
    );
    expect(document).toMatchObject({
      baseline: { id: CONTROL, name: 'control', condition: 'control' },
      experiments: [{ id: CONTROL, metrics: { latency: { count: 200 } } }, { id: HEDGED }],
      treatments: [
        {
          id: HEDGED,
          latencyImprovementPct: expect.closeTo(-40),
          metrics: {
            latencyMean: { significant: true, direction: 'better' },
            successRate: { pValue: expect.any(Number) },
          },
          pairing: { used: false },
          verdict: expect.stringContaining('hedged had a lower mean latency'),
        },
      ],
      settings: {
        alpha: 0.01,
        confidenceLevel: 0.99,
        adjust: 'holm',
        questions: 2,
        seed: 1,
        sequential: null,
      },
    });
    expect(Object.keys(document.treatments[0].metrics)).toEqual(['latencyMean', 'successRate']);
    const said = commands.find(({ name }) => name === 'compare')!.json!.join('\n');
    for (const key of [...Object.keys(document), ...Object.keys(document.treatments[0])]) {
      expect(said).toMatch(new RegExp(`\\b${key}\\b`));
    }
  });

  it('hands its options to the comparison', async () => {
    const { settings, treatments } = await json(
      ...['compare', CONTROL, HEDGED, '--sequential', '--tuning', '400', '--adjust', 'none', '--seed', '9'],
      ...['--ratio', '1,9', '--paired', 'no'],
    );
    expect(settings).toMatchObject({ adjust: 'none', seed: 9, sequential: { tuning: 400 } });
    expect(treatments[0].pairing.reason).toBe('not asked for');
    expect(treatments[0].warnings.map(({ code }: { code: string }) => code)).toContain('sampleRatioMismatch');
  });

  it('fails where there is nothing to compare, and says why', async () => {
    const nothing = await run('compare', CONTROL, EMPTY);
    expect(nothing.status).toBe(1);
    expect(nothing.stderr).toBe(
      'error: there is nothing to compare: no such events in empty (ERR_TOO_FEW_SAMPLES)\nhint: crucible metrics ID --dir DIR shows what an experiment has\n',
    );
    expect(nothing.stdout).toContain('! no events in empty');
    expect((await run('compare', CONTROL, HEDGED, '--event', 'llm.note')).stderr).toContain(
      'no metric has values in both experiments',
    );
    // One that can be compared is enough.
    expect((await run('compare', CONTROL, EMPTY, HEDGED)).status).toBe(0);
  });

  it.each([
    [[CONTROL], 'compare needs more arguments'],
    [[CONTROL, 'c0c0'], 'compare names one experiment twice: c0c0'],
    [[CONTROL, HEDGED, '--alpha', '1'], '--alpha expects a number above 0 and below 1'],
    [
      [CONTROL, HEDGED, '--metrics', 'latency'],
      '--metrics expects a measure or a declared column of numbers or bool (did you mean latencyMs?)',
    ],
    [[CONTROL, HEDGED, '--adjust', 'holms'], 'did you mean holm?'],
    [[CONTROL, HEDGED, '--ratio', '1,2,3'], '--ratio expects a number above 0 for each of the 2 experiments'],
    [[CONTROL, HEDGED, '--ratio', '1,0'], '--ratio expects'],
    [[CONTROL, HEDGED, '--tuning', '5'], '--tuning is for --sequential only'],
    [
      [CONTROL, HEDGED, '--paired', 'yes', '--sequential'],
      '--paired yes and --sequential exclude each other',
    ],
    [[CONTROL, HEDGED, '--success', '--failed'], '--success and --failed exclude each other'],
  ])('refuses %j', async (argv, message) => {
    expect(await run('compare', ...argv)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringContaining(message),
    });
  });
});

describe.each([
  ['metrics', [CONTROL]],
  ['windows', [CONTROL, '--size', '60s']],
  ['compare', [CONTROL, HEDGED]],
])('crucible %s', (command, argv) => {
  it('needs a folder, and an experiment that is there', async () => {
    expect(await runInMemory([command, ...argv], commands, { loadLibrary })).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('name it with --dir, or set CRUCIBLE_DIR'),
    });
    const env = { CRUCIBLE_DIR: dir };
    expect(await runInMemory([command, ...argv], commands, { loadLibrary, env })).toMatchObject({
      status: 0,
    });
    expect(await run(command, 'ffff', ...argv.slice(1))).toMatchObject({
      status: 1,
      stdout: '',
      stderr: `error: no experiment "ffff" in ${dir} (ERR_NOT_FOUND)\nhint: crucible list ${dir} shows what there is\n`,
    });
  });

  it('shows progress at a terminal only, and ends when it is told to', async () => {
    const options = { loadLibrary, terminal: true };
    const { stderr } = await runInMemory([command, ...argv, '--dir', dir], commands, options);
    expect(stderr).toContain(`${CONTROL}  `);
    expect(stderr.endsWith('\u001b[?25h')).toBe(true);
    const signal = AbortSignal.abort();
    expect(
      await runInMemory([command, ...argv, '--dir', dir], commands, { loadLibrary, signal }),
    ).toMatchObject({ status: 1, stdout: '', stderr: 'error: interrupted\n' });
  });

  it('writes plain text from the built program into a pipe', async () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['dist/src/cli/main.js', command, ...argv, '--dir', dir],
      { encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toBe(await text(command, ...argv));
  });
});
