import { describe, expect, it } from 'vitest';
import { attachExperiment, Crucible } from '../../src/index.js';
import { latenciesOf, makeRing } from '../support/ring.js';

describe('an overwriting ring', () => {
  it('serves a writer again once another one gives its chunk up', async () => {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'tiny', capacity: 1024 });
    const other = attachExperiment(experiment.share());
    other.recorder('other').recordAt(1, 1);
    const recorder = experiment.recorder('own');
    recorder.recordAt(2, 2);
    expect(experiment.counts).toMatchObject({ dropped: 1 });
    other.close();
    recorder.recordAt(3, 3);
    expect(experiment.counts).toMatchObject({ captured: 2, retained: 1, dropped: 2 });
    expect((await experiment.query()).map(({ latencyMs }) => latencyMs)).toEqual([3]);
  });

  it('serves a writer again once another one has filled its chunk and gone on', () => {
    const ring = makeRing({ capacityRows: 2048, producerCount: 3 });
    const [a, b, c] = [ring.writer(), ring.writer(), ring.writer()];
    a.recorder('a').recordAt(1, 1);
    const recorderB = b.recorder('b');
    recorderB.recordAt(1, 2);
    const recorderC = c.recorder('c');
    recorderC.recordAt(1, 3);
    expect(ring.control.counts().refused).toBe(1);
    a.ring.close();
    for (let i = 0; i < 2000; i++) recorderB.recordAt(i, 2);
    b.ring.close();
    recorderC.recordAt(1, 4);
    c.ring.publish();
    expect(latenciesOf(ring)).toContain(4);
  });
});
