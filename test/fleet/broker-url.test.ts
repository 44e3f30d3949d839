import { inspect } from 'node:util';
import { expect, test } from '@jest/globals';
import { parseBrokerUrl, redactUrl } from '../../agent/fleet/broker-url.ts';

test.each([
  ['mqtt://h', 'mqtt', 'h', 1883, '', 'mqtt://h:1883'],
  ['tcp://h', 'mqtt', 'h', 1883, '', 'mqtt://h:1883'],
  ['mqtts://h', 'mqtts', 'h', 8883, '', 'mqtts://h:8883'],
  ['ssl://h:1', 'mqtts', 'h', 1, '', 'mqtts://h:1'],
  ['mqtt://10.0.0.1:1884/', 'mqtt', '10.0.0.1', 1884, '', 'mqtt://10.0.0.1:1884'],
  ['mqtt://[::1]', 'mqtt', '::1', 1883, '', 'mqtt://[::1]:1883'],
  ['ws://h', 'ws', 'h', 80, '/mqtt', 'ws://h:80'],
  ['ws://h:9001/', 'ws', 'h', 9001, '/mqtt', 'ws://h:9001'],
  ['wss://h/a/b?token=1', 'wss', 'h', 443, '/a/b?token=1', 'wss://h:443'],
] as const)('%s', (text, protocol, host, port, path, display) => {
  expect(parseBrokerUrl(text)).toEqual({
    address: { protocol, host, port, path, display },
    user: undefined,
    password: undefined,
  });
});

test('credentials are unescaped and kept out of the address', () => {
  const { address, user, password } = parseBrokerUrl('mqtt://us%40er:p%2Fw%3A@h:1');
  expect([user, password]).toEqual(['us@er', 'p/w:']);
  expect(address.display).toBe('mqtt://h:1');
});

test.each([
  ['h', 'not a URL'],
  ['localhost:1883', 'unknown scheme'],
  ['http://h', 'unknown scheme'],
  ['mqtt://', 'names no host'],
  ['mqtt:h', 'names no host'],
  ['mqtt://h:99999', 'not a URL'],
  ['mqtt://h:0', 'port 0'],
  ['mqtt://h/topic', 'nothing may follow the port'],
  ['mqtt://h?x=1', 'nothing may follow the port'],
])('%s is refused: %s', (text, why) => {
  expect(() => parseBrokerUrl(text)).toThrow(why);
});

test.each([
  'mqtt://user:secret@h:99999',
  'mqtt://user:secret@h/topic',
  'mqtt://user:1secret/x@h',
  'mqtt://user:9/secret@h',
  'mqtt://user:9#secret@h',
  'mqtt://user:9?secret@h',
  'mqtt://user:secret%zz@h',
  'http://user:secret@h',
  'user:secret@h',
  'mqtt://user:se@secret@h:99999',
])('a refusal of %s does not tell the password', (text) => {
  let message = '';
  try {
    parseBrokerUrl(text);
  } catch (error) {
    message = inspect(error);
  }
  expect(message).toContain('BAD_URL');
  expect(message).not.toContain('secret');
});

test('what is hidden and what is left', () => {
  expect(redactUrl('mqtts://a:b@host:8883')).toBe('mqtts://***@host:8883');
  expect(redactUrl('wss://host/x?token=1')).toBe('wss://host/x?...');
  expect(redactUrl('mqtt://host')).toBe('mqtt://host');
});
