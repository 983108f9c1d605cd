/** Judges and tries of an experiment: figures with known truths. Statistics themselves are tested in test/stats. */
import { describe, expect, it } from 'vitest';
import { reportOfJudges } from '../../src/analysis/judges.js';
import { useBench } from '../capture/support.js';

const scoresOf = (by: string | null, values: Readonly<Record<string, number | boolean>>) =>
  Object.entries(values).map(([id, value]) => ({ key: 'sampleId', id, by, value }));

describe('the report of judges', () => {
  it('tells bias, agreement and correlation, with a reference or of every two', () => {
    const human = { a: 1, b: 2, c: 3, d: 4, e: 5 };
    const lenient = { a: 2, b: 3, c: 4, d: 5, f: 1 };
    const scores = [
      ...scoresOf('human', human),
      ...scoresOf('lenient', lenient),
      ...scoresOf(null, { a: 1, b: 2, c: 3, d: 4 }),
    ];
    const report = reportOfJudges('quality', scores, 'human');
    expect(report).toMatchObject({ level: 'interval', items: 6 });
    expect(report.judges).toEqual([
      { by: null, scores: 4, mean: 2.5 },
      { by: 'human', scores: 5, mean: 3 },
      { by: 'lenient', scores: 5, mean: 3 },
    ]);
    expect(report.pairs).toMatchObject([
      { a: 'human', b: null, items: 4, agreement: 1, bias: { estimate: 0 }, kappa: { estimate: 1 } },
      { a: 'human', b: 'lenient', items: 4, agreement: 0, bias: { estimate: 1 } },
    ]);
    expect(report.pairs[1]!.correlation).toBeCloseTo(1, 12);
    expect(reportOfJudges('quality', scores).pairs).toHaveLength(3);
    expect(report.alpha!.items).toBe(4);
  });

  it('tells sensitivity and specificity of yes and no', () => {
    const truth = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`s${i}`, i < 40]));
    const judge = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`s${i}`, i < 30 || i >= 94]));
    const { level, pairs } = reportOfJudges(
      'right',
      [...scoresOf('human', truth), ...scoresOf('model', judge)],
      'human',
    );
    expect(level).toBe('nominal');
    expect(pairs[0]!.sensitivity).toMatchObject({ estimate: 0.75, n: 40 });
    expect(pairs[0]!.specificity).toMatchObject({ estimate: 0.9, n: 60 });
    expect(pairs[0]!.correlation).toBeNull();
    // Observed .84, by chance .4 × .36 + .6 × .64 = .528.
    expect(pairs[0]!.kappa!.estimate).toBeCloseTo((0.84 - 0.528) / (1 - 0.528), 12);
  });

  it('has nothing to say of judges who share nothing, and refuses a reference that has said nothing', () => {
    const scores = [...scoresOf('a', { x: 1 }), ...scoresOf('b', { y: 1 })];
    expect(reportOfJudges('q', scores)).toMatchObject({
      alpha: null,
      pairs: [{ items: 0, kappa: null, bias: null, correlation: null }],
    });
    expect(() => reportOfJudges('q', scores, 'c')).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    );
  });
});

describe('tries of an experiment', () => {
  const bench = useBench();

  it('are events with an outcome by sampleId, or with a score of their own', async () => {
    const experiment = bench.start({ events: ['answer', 'answer.start', 'answer.stop'] });
    // Of ten samples tried twice: 3 twice right, 4 once, 3 never; an eleventh was tried once.
    for (let i = 0; i < 10; i++) {
      experiment.capture('answer.start', {}, { sampleId: i, status: 'ok' });
      for (let j = 0; j < 2; j++) {
        const isRight = i < 3 || (i < 7 && j === 0);
        experiment.capture(
          'answer.stop',
          { durationMs: 1, status: isRight ? 'ok' : 'error' },
          { sampleId: i, responseId: `${i}-${j}` },
        );
        experiment.score({ responseId: `${i}-${j}` }, 'right', !isRight);
      }
    }
    experiment.capture('answer.stop', { durationMs: 1, status: 'ok' }, { sampleId: 'once' });
    experiment.capture('answer.stop', { durationMs: 1, status: 'ok' }, {});
    const report = await experiment.attempts({ k: [2, 1, 2] });
    expect(report).toMatchObject({ of: 'success', tasks: 11, tries: 21, withoutSample: 1 });
    expect(report.results.map(({ k, leftOut }) => [k, leftOut])).toEqual([
      [1, 0],
      [2, 1],
    ]);
    const [once, twice] = report.results;
    expect(once!.passAtK!.estimate).toBeCloseTo((3 + 4 / 2 + 1) / 11, 12);
    expect(twice!.passAtK!.estimate).toBeCloseTo(0.7, 12);
    expect(twice!.passHatK!.estimate).toBeCloseTo(0.3, 12);
    const { results } = await experiment.attempts({ of: 'score.right', k: [2] });
    expect(results[0]).toMatchObject({ leftOut: 0, passAtK: { estimate: 0.7 }, passHatK: { estimate: 0.3 } });
    const some = await experiment.attempts({ filter: { sampleId: 1 }, k: [1, 5] });
    expect(some.results).toMatchObject([{ k: 1 }, { k: 5, passAtK: null, passHatK: null, leftOut: 1 }]);
    await expect(experiment.attempts({ k: [0] })).rejects.toMatchObject({ code: 'ERR_CONFIG_INVALID' });
  });
});
