import { createHmac } from 'node:crypto';
import { afterAll, describe, expect, test } from '@jest/globals';
import { ID_PATTERN } from '../../agent/contracts/ids.ts';
import { defaultDeviceId } from '../../agent/hardware/device-id.ts';
import { makeSysroot, removeSysroots, type Files } from '../support/sysroot.ts';

afterAll(removeSysroots);

const ID = '0123456789abcdef0123456789abcdef';
const SERIAL = '10000000deadbeef';
const MAC = 'dc:a6:32:01:02:03';

/** The rule, written out a second time: a changed id would orphan every device of a fleet. */
function expected(secret: string): string {
  const hash = createHmac('sha256', secret).update('edgefit device id 1').digest('hex');
  return `edgefit-${hash.slice(0, 12)}`;
}

const machineId = { '/etc/machine-id': `${ID}\n` };
const serial = { '/proc/device-tree/serial-number': `${SERIAL}\0` };
const network = {
  '/sys/class/net/lo/address': '00:00:00:00:00:00\n',
  '/sys/class/net/docker0/address': '02:42:ac:11:00:02\n',
  '/sys/class/net/eth0/address': `${MAC}\n`,
};

describe('defaultDeviceId', () => {
  test.each<[string, Files, string]>([
    ['machine id', { ...machineId, ...serial, ...network }, ID],
    ['D-Bus machine id', { '/var/lib/dbus/machine-id': `${ID}\n`, ...serial }, ID],
    ['uninitialized machine id', { '/etc/machine-id': 'uninitialized\n', ...serial }, SERIAL],
    ['empty machine id', { '/etc/machine-id': '', ...serial, ...network }, SERIAL],
    [
      'serial of zeros',
      { '/proc/device-tree/serial-number': '0000000000000000\0', ...network },
      MAC,
    ],
    ['network card', network, MAC],
  ])('from the %s', async (_, files, secret) => {
    const id = await defaultDeviceId(makeSysroot(files));
    expect(id).toBe(expected(secret));
    expect(id).toMatch(ID_PATTERN);
    expect(id).not.toContain(secret.slice(0, 6));
  });

  test('is fixed for a given machine', async () => {
    await expect(defaultDeviceId(makeSysroot(machineId))).resolves.toBe(expected(ID));
  });

  test('a machine without identity is told what to do', async () => {
    await expect(defaultDeviceId(makeSysroot({}))).rejects.toMatchObject({
      code: 'NO_MACHINE_ID',
      kind: 'failure',
      message: expect.stringContaining('systemd-machine-id-setup, or name it with --device-id ID'),
    });
  });
});
