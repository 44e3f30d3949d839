import { afterAll, describe, expect, test } from '@jest/globals';
import { agent, removeFolders } from './support/agent.ts';
import { refusal, tooWide } from './support/expect.ts';

afterAll(removeFolders);

describe('usage errors are one line with a hint', () => {
  test.each([
    ['benhc', "unknown command 'benhc' (Did you mean bench?); see 'agent --help'"],
    ['bench --thread 1', "unknown option '--thread' (Did you mean --threads?)"],
    ['bench --threads', "option '--threads <list>' argument missing"],
    ['bench --threads x', '"x" is not a whole number from 1 to 256; see'],
    ['bench --precision int7', '"int7" is none of: int8, '],
    ['bench --min-time -1', 'It must be more than 0; see'],
    ['bench --observer guess', "argument 'guess' is invalid"],
    ['bench --std 0', 'Pixels are divided by it: not 0'],
    ['bench --as-is --precision int8', '--as-is measures the file itself only'],
    ['bench --samples a --samples-command b', 'not both'],
    ['bench --mqtt http://host', '--mqtt: '],
    ['bench --mqtt-user me', '--mqtt-user: only with --mqtt URL'],
    ['bench a b', "too many arguments for 'bench'"],
    ['fit m.onnx', "required option '-o, --output <dir>' not specified"],
    ['quantize m.onnx --to int9 -o x', '--to int9 is no scheme: use auto, int8-static'],
    ['quantize m.onnx --to weight-int3 -o x', 'is no scheme'],
    ['quantize --to fp16 -o x', "missing required argument 'model'"],
  ])('agent %s', async (line, says) => {
    expect(await agent(line.split(' '))).toMatchObject(refusal(2, says));
  });
});

describe('help', () => {
  test.each(['', 'probe', 'bench', 'fit', 'quantize'])('agent %s --help', async (name) => {
    const ran = await agent([...name.split(' ').filter(Boolean), '--help']);
    expect(ran).toMatchObject({ code: 0, err: '' });
    expect(tooWide(ran)).toEqual([]);
    expect(ran.out).toMatch(new RegExp(`^Usage: agent ${name}`));
    expect(ran.out).toMatch(new RegExp(`^Examples?:\n( {2}agent ${name}.*\n)+`, 'm'));
  });
});
