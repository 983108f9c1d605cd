/** Which arm a unit is in: for ever the same, in proportion to the weights, and independent between studies. */
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignedArm, unitPoint } from '../../src/schema/assignment.js';
import { chiSquareSurvival } from '../../src/stats/distributions.js';

const EVEN = [
  { name: 'control', weight: 1 },
  { name: 'treatment', weight: 1 },
];
const THREE = [
  { name: 'a', weight: 1 },
  { name: 'b', weight: 2 },
  { name: 'c', weight: 7 },
];

describe('the point of a unit', () => {
  // Units that are being assigned by these must stay where they are: never change them.
  it.each([
    ['shorter prompt', 'u1', 0.9871015713580817],
    ['shorter prompt', 'u2', 0.8789643910086582],
    ['shorter prompt', '1', 0.28511893723314685],
    ['Größe "x"', '日本', 0.0507108909476095],
    ['__proto__', 'constructor', 0.3439855624888182],
    ['a\u0000b', 'c', 0.5246679772186056],
  ] as const)('of %j and %j is %d', (study, unit, point) => {
    expect(unitPoint(study, unit)).toBe(point);
  });
});

describe('the arm of a unit', () => {
  it('does not depend on who asks, and when', () => {
    const units = Array.from({ length: 200 }, (_, i) => `user-${i}`);
    const here = units.map((unit) => assignedArm('a study', unit, THREE));
    const program = `
      import { Crucible } from 'crucible-telemetry';
      const arms = { a: { weight: 1 }, b: { weight: 2 }, c: { weight: 7 } };
      const crucible = new Crucible({ workers: 0 });
      const study = crucible.study({ name: 'a study', arms });
      console.log(JSON.stringify(${JSON.stringify(units)}.map((unit) => study.assign(unit))));
      await crucible.close();`;
    const there = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    expect(JSON.parse(there)).toEqual(here);
  });

  it.each([
    ['1 : 1', EVEN],
    ['1 : 2 : 7', THREE],
  ])('follows the weights %s', (_, arms) => {
    const counts = new Map<string, number>();
    const total = arms.reduce((sum, { weight }) => sum + weight, 0);
    for (let i = 0; i < 20_000; i++) {
      const arm = assignedArm('weights', `u${i}`, arms);
      counts.set(arm, (counts.get(arm) ?? 0) + 1);
    }
    const chiSquare = arms.reduce((sum, { name, weight }) => {
      const expected = (20_000 * weight) / total;
      return sum + (counts.get(name)! - expected) ** 2 / expected;
    }, 0);
    expect(chiSquareSurvival(chiSquare, arms.length - 1)).toBeGreaterThan(0.001);
  });

  it('is not the same in another study: who is treated in one is no more often treated in the next', () => {
    let both = 0;
    for (let i = 0; i < 10_000; i++) {
      if (assignedArm('first', `u${i}`, EVEN) === assignedArm('second', `u${i}`, EVEN)) both++;
    }
    expect(Math.abs(both - 5000)).toBeLessThan(4 * 50);
  });

  it('is one of the arms, whatever the names, the unit and the weights', () => {
    const weight = fc.double({ min: 1e-300, max: 1e300, noNaN: true });
    fc.assert(
      fc.property(
        fc.string(),
        fc.string({ unit: 'binary' }),
        fc.array(weight, { minLength: 2, maxLength: 9 }),
        (study, unit, weights) => {
          const arms = weights.map((each, i) => ({ name: `arm${i}`, weight: each }));
          expect(arms.map(({ name }) => name)).toContain(assignedArm(study, unit, arms));
        },
      ),
    );
  });
});
