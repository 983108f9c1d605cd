import { describe, expect, it } from 'vitest';
import { tableLines } from '../../../src/cli/terminal/table.js';
import { displayWidth } from '../../../src/cli/terminal/width.js';

describe('tableLines', () => {
  const columns = [
    { header: 'name', align: 'left' as const },
    { header: 'p50, ms', align: 'right' as const },
  ];

  it('aligns words left and numbers right, whatever the script', () => {
    expect(tableLines(columns, [['control', '12.50'], ['対照群', '1,204.00'], ['🚀']])).toEqual([
      '  name       p50, ms',
      '  control      12.50',
      '  対照群    1,204.00',
      '  🚀',
    ]);
  });

  it('lets the first column give way to the width', () => {
    const lines = tableLines(columns, [['a rather long name', '1.0']], { width: 24 });
    expect(lines[1]).toBe('  a rather lo…       1.0');
    expect(lines.every((line) => displayWidth(line) <= 24)).toBe(true);
  });

  it('leaves out what may be left out, once the column that shrinks can give no more', () => {
    const wide = [
      { header: 'id', align: 'left' as const },
      { header: 'name', align: 'left' as const, shrinks: true as const },
      { header: 'size', align: 'right' as const, optional: 2 },
      { header: 'time', align: 'right' as const, optional: 1 },
    ];
    const at = (width: number) =>
      tableLines(wide, [['0123', 'a rather long name', '10', '12']], { width })[1];
    expect(at(80)).toBe('  0123   a rather long name     10     12');
    expect(at(35)).toBe('  0123   a rather lo…     10     12');
    expect(at(28)).toBe('  0123   a rather lo…     12');
    expect(at(20)).toBe('  0123   a rather l…');
    expect(at(10)).toBe('  0123   a rathe…');
  });

  it('leaves out a header that says nothing', () => {
    const bare = columns.map((column) => ({ ...column, header: '' }));
    expect(tableLines(bare, [['a', '1']], { indent: 0 })).toEqual(['a   1']);
  });

  it('leaves out rather than cutting below what is asked for', () => {
    const columns = [
      { header: 'name', align: 'left' as const },
      { header: 'count', align: 'right' as const, optional: 1 },
    ];
    const rows = [['a long name', '1']];
    expect(tableLines(columns, rows, { width: 20 })).toEqual([
      '  name         count',
      '  a long na…       1',
    ]);
    expect(tableLines(columns, rows, { width: 20, minShrunk: 11 })).toEqual(['  name', '  a long name']);
  });
});
