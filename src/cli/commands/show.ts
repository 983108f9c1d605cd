import type { Json, RecoveredExperiment, StoredExperiment, StoredFields } from '../../index.js';
import { defineCommand } from '../command.js';
import type { LibraryExperiment } from '../library.js';
import type { ReportOptions } from '../report/measures.js';
import { shapeLines, shapeOf } from '../report/shape.js';
import { damageText, factLines, statusText, streamingLines } from '../report/stored.js';
import { withExperiment } from '../stored-experiments.js';
import { formatBytes, formatCount, formatDuration, formatNumber, formatTime } from '../terminal/numbers.js';
import { visible } from '../terminal/text.js';

export const show = defineCommand({
  name: 'show',
  summary: 'show everything about one experiment',
  usage: 'ID --dir DIR [options]',
  details: [
    'Reads and verifies every event, and changes nothing: the experiment may be being captured meanwhile. The beginning of an ID will do, or a name, where only one experiment has it. Times are UTC. Without --dir, the folder that CRUCIBLE_DIR names.',
  ],
  json: [
    '{ id, name, hypothesis, condition, metadata, tags, startedAt, stoppedAt, lastSeenAt, pausedAt,',
    '  status, sampleSize, pauseCount, interrupted, heldBy: { pid, host } or null, options,',
    '  libraryVersion,',
    '  counts: { captured, retained, dropped, malformed, cut, refused, malformedKeys },',
    '  storage: { folder, rows, bytes, segments, timeRange, cut, damage, dropped },',
    '  streaming: { count, latency, cost, reliability, tokens, byEvent, … } or null }',
    'Times in microseconds since 1970.',
  ],
  positionals: { min: 1, max: 1 },
  options: {},
  run(context) {
    const { options, print, printJson, report, stdout } = context;
    return withExperiment(context, 'show', async ({ experiment, stored, report: found }) => {
      if (options.json) {
        printJson(experimentDocument(experiment, stored, found));
        return;
      }
      const isDrawn = stdout.isTTY === true && experiment.counts.retained > 0;
      const shape = isDrawn ? await shapeOf(experiment, await experiment.metrics(), null) : null;
      const drawing = shape === null ? [] : shapeLines(shape, report);
      print(...experimentLines(experiment, stored, found, report, drawing));
    });
  },
});

function experimentDocument(
  experiment: LibraryExperiment,
  { experiment: fields, libraryVersion, status, lastSeenAt }: StoredExperiment,
  report: RecoveredExperiment,
) {
  const { folder, rows, bytes, segments, timeRange, cut, damage, dropped, interrupted, heldBy } = report;
  return {
    ...experiment.toJSON(),
    status,
    ...(interrupted && { stoppedAt: null }),
    lastSeenAt,
    interrupted,
    heldBy,
    options: fields?.options ?? null,
    libraryVersion,
    storage: { folder, rows, bytes, segments, timeRange, cut, damage, dropped },
    streaming: fields?.options.streamingMetrics === false ? null : experiment.streamingMetrics(),
  };
}

/** A longer list is shown by its length. */
const LISTED_MAX = 4;

type Fact = readonly [name: string, value: string];

function experimentLines(
  experiment: LibraryExperiment,
  stored: StoredExperiment,
  report: RecoveredExperiment,
  options: ReportOptions,
  drawing: readonly string[],
): string[] {
  const { red } = options.style;
  const { counts } = experiment;
  const { timeRange, damage } = report;
  const streams = stored.experiment?.options.streamingMetrics !== false && counts.captured > 0;
  return [
    ...factLines(visible(experiment.name), identityFacts(stored), options),
    ...section('Metadata', jsonFacts(stored.experiment?.metadata), options),
    '',
    ...factLines(
      'Events',
      [
        ['captured', formatNumber(counts.captured)],
        ['readable', formatNumber(counts.retained)],
        ['dropped', formatNumber(counts.dropped)],
        ['malformed', formatNumber(counts.malformed)],
        ...(counts.cut === 0 ? [] : [['cut', formatNumber(counts.cut)] as const]),
        ['first', formatTime(timeRange?.[0])],
        ['last', formatTime(timeRange?.[1])],
      ],
      options,
    ),
    ...(streams ? ['', ...streamingLines(experiment.streamingMetrics(), options)] : []),
    ...drawing,
    '',
    ...factLines(
      'Storage',
      [
        ['folder', report.folder],
        ['segments', `${formatNumber(report.segments)}, ${formatBytes(report.bytes)}`],
        ['damage', damage.length === 0 ? 'none' : formatCount(damage.length, 'place')],
        ['version', stored.libraryVersion ?? '-'],
      ],
      options,
    ),
    ...damage.map((found) => red(`  ! ${damageText(found)}`)),
    ...section('Options', jsonFacts(stored.experiment?.options), options),
  ];
}

function section(heading: string, facts: readonly Fact[], options: ReportOptions): string[] {
  return facts.length === 0 ? [] : ['', ...factLines(heading, facts, options)];
}

/** What is not known or never happened is left out. */
function identityFacts(stored: StoredExperiment): Fact[] {
  const { experiment: fields, id } = stored;
  if (fields === null) return [['id', id]];
  const { hypothesis, stoppedAt, pausedAt, pauseCount, sampleSize, tags } = fields;
  const fact = (name: string, value: string | null): Fact[] => (value ? [[name, visible(value)]] : []);
  return [
    ['id', id],
    ...fact('condition', fields.condition),
    ...fact('hypothesis', hypothesis),
    ...fact('status', statusText(stored)),
    ...fact('started', formatTime(fields.startedAt)),
    ...(stored.interrupted
      ? fact('last seen', endText(stored.lastSeenAt, fields))
      : fact('stopped', endText(stoppedAt, fields))),
    ...fact('paused', pausedAt === null ? null : formatTime(pausedAt)),
    ...fact('pauses', pauseCount === 0 ? null : pausesText(fields)),
    ...fact('sample size', sampleSize === null ? null : formatNumber(sampleSize)),
    ...fact('tags', tags.join(', ')),
  ];
}

function endText(at: number | null, { startedAt }: StoredFields): string | null {
  if (at === null) return null;
  return `${formatTime(at)}, after ${formatDuration(Math.max(0, at - startedAt) / 1000)}`;
}

function pausesText({ pauseCount, pausedUs }: StoredFields): string {
  return `${formatNumber(pauseCount)}, ${formatDuration(pausedUs / 1000)} in all`;
}

/** Values as JSON; of a long list, how long it is. */
function jsonFacts(values: Readonly<Record<string, Json>> = {}): Fact[] {
  return Object.entries(values).map(([name, value]) => {
    const isLong = Array.isArray(value) && value.length > LISTED_MAX;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return [visible(name), isLong ? formatCount(value.length, 'entry', 'entries') : visible(text)];
  });
}
