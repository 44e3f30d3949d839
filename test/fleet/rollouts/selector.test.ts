import { describe, expect, test } from '@jest/globals';
import { parseSelector } from '../../../agent/fleet/rollouts/selector.ts';
import { row } from './support.ts';

const model = { name: 'kws', version: '2.1', precision: 'int8', digest: '', releaseCounter: 1 };
const device = row('pi-7', {
  class: 'rpi-5',
  board: 'Raspberry Pi 5 Model B',
  arch: 'arm64',
  tags: ['site-a', 'hall-2'],
  agent: '0.1.0',
  accelerators: ['hailo-8l'],
  model,
});

describe('a selector', () => {
  test.each([
    ['', true],
    ['class=rpi-5', true],
    ['class = rpi-4b', false],
    ['class=rpi-5 and tag=site-a', true],
    ['class=rpi-4b or tag=hall-2', true],
    ['tag=site-b', false],
    ['tag!=site-b', true],
    ['tag!=site-a', false],
    ['not tag=site-a', false],
    ['not (class=rpi-4b or class=rpi-5)', false],
    // and binds more strongly than or.
    ['class=rpi-5 or class=rpi-4b and tag=site-b', true],
    ['(class=rpi-5 or class=rpi-4b) and tag=site-b', false],
    ['id in (pi-6, pi-7)', true],
    ['not id in (pi-6, pi-7)', false],
    ['id=pi-*', true],
    ['id=*-8', false],
    ['board="Raspberry Pi 5*"', true],
    ["board='* 5 *B'", true],
    ['id=p*p*7', false],
    ['state=online', true],
    ['model=kws and version=2.1 and precision=int8', true],
    ['accelerator=hailo-8l', true],
    ['arch=arm64 AND agent=0.1.0', true],
    ['tag="and"', false],
  ])('%s', (text, expected) => {
    expect(parseSelector(text)(device)).toBe(expected);
  });

  test('finds a device without a model by what it does not run', () => {
    const bare = row('a');
    expect(parseSelector('model!=kws')(bare)).toBe(true);
    expect(parseSelector('model=kws')(bare)).toBe(false);
  });

  test.each([
    ['clas=rpi-5', 'character 1: there is no key "clas": use class, tag, id'],
    ['class=rpi-5 and', 'character 16: a key is missing'],
    ['class rpi-5', 'character 7: "=", "!=" or "in" after "class" is missing'],
    ['class=', 'character 7: a value for "class" is missing'],
    ['(class=a', 'character 9: ")" is missing'],
    ['class=a tag=b', 'character 9: "tag" comes where "and" or "or" belongs'],
    ['class in a', 'character 10: "(" is missing'],
    ['class in (a b)', 'character 13: ")" is missing'],
    ['class="a', 'character 7: "\\"" does not belong here'],
    ['constructor=a', 'there is no key "constructor"'],
    [`${'('.repeat(60)}class=a`, 'nested over 50 levels'],
    [`${'not '.repeat(60)}class=a`, 'nested over 50 levels'],
  ])('refuses %s', (text, message) => {
    expect(() => parseSelector(text)).toThrow(message);
  });
});
