// Writes seeded random values of the beacon chain's containers with their SSZ bytes and roots, as
// @lodestar/types computes them: the oracle of codec/ssz and codec/beacon_types.
//
//   folder=$(tests/interop/peers.sh ssz)
//   LODESTAR_PRESET=minimal "$folder/node" "$folder/beacon_ssz.mjs" SEED COUNT MAX_LIST [short]
//
// COUNT values of each container of each fork, phase0 to fulu; MAX_LIST bounds the length of each
// list. `short`: one signed block of each fork and one of each container that is new in its fork,
// without blobs (tests/vectors/beacon_ssz.txt is that). One line per value: preset, fork.container,
// bytes, hash_tree_root, and for a signed block also the block's root and the body's root.
import { ssz } from '@lodestar/types'
import { ACTIVE_PRESET } from '@lodestar/params'
import { createHash } from 'node:crypto'
import { BitArray } from '@chainsafe/ssz'

const [seed = '1', count = '2', maxList = '2', short] = process.argv.slice(2)
let counter = 0
const bytes = n => {
  const out = Buffer.alloc(n)
  for (let at = 0; at < n; at += 32) {
    createHash('sha256').update(`${seed}/${counter++}`).digest().copy(out, at)
  }
  return out
}
const below = n => bytes(6).readUIntLE(0, 6) % n
const bits = n => BitArray.fromBoolArray(Array.from({ length: n }, () => below(2) === 1))
const listLength = limit => below(Math.min(limit, +maxList) + 1)

function random (type) {
  const name = type.constructor.name
  switch (name) {
    case 'BooleanType': return below(2) === 1
    case 'UintNumberType': return below(4) === 0 && type.clipInfinity ? Infinity : below(2 ** Math.min(8 * type.byteLength, 46))
    case 'UintBigintType': return BigInt('0x' + bytes(type.byteLength).toString('hex'))
    case 'ByteVectorType': return new Uint8Array(bytes(type.lengthBytes))
    case 'ByteListType': return new Uint8Array(bytes(below(Math.min(type.limitBytes, 300) + 1)))
    case 'BitVectorType': return bits(type.lengthBits)
    case 'BitListType': return bits(below(Math.min(type.limitBits, 300) + 1))
    case 'VectorBasicType':
    case 'VectorCompositeType': return Array.from({ length: type.length }, () => random(type.elementType))
    case 'ListBasicType':
    case 'ListCompositeType': return Array.from({ length: listLength(type.limit) }, () => random(type.elementType))
  }
  if (type.fields) {
    return Object.fromEntries(Object.entries(type.fields).map(([key, child]) => [key, random(child)]))
  }
  if (type.lengthBytes) return new Uint8Array(bytes(type.lengthBytes))
  if (type.limitBytes) return new Uint8Array(bytes(below(Math.min(type.limitBytes, 300) + 1)))
  if (type.byteLength) return below(2 ** Math.min(8 * type.byteLength, 46))
  throw new Error(`no generator for ${name} ${type.typeName}`)
}

const hex = b => Buffer.from(b).toString('hex')
function line (fork, name, value) {
  const type = ssz[fork][name]
  const words = [ACTIVE_PRESET, `${fork}.${name}`, hex(type.serialize(value)), hex(type.hashTreeRoot(value))]
  if (name === 'SignedBeaconBlock') {
    const { BeaconBlock, BeaconBlockBody } = ssz[fork]
    words.push(hex(BeaconBlock.hashTreeRoot(value.message)), hex(BeaconBlockBody.hashTreeRoot(value.message.body)))
  }
  console.log(words.join(' '))
}

const forks = ['phase0', 'altair', 'bellatrix', 'capella', 'deneb', 'electra', 'fulu']
const names = `SignedBeaconBlock BeaconBlock BeaconBlockBody
  BeaconBlockHeader SignedBeaconBlockHeader Checkpoint Eth1Data AttestationData Attestation SingleAttestation
  IndexedAttestation AttesterSlashing ProposerSlashing Deposit DepositData VoluntaryExit SignedVoluntaryExit
  AggregateAndProof SignedAggregateAndProof
  SyncAggregate SyncCommitteeMessage SyncCommitteeContribution ContributionAndProof SignedContributionAndProof
  ExecutionPayload ExecutionPayloadHeader Withdrawal BLSToExecutionChange SignedBLSToExecutionChange
  BlobSidecar BlobIdentifier BlobSidecarsByRangeRequest
  DepositRequest WithdrawalRequest ConsolidationRequest ExecutionRequests
  DataColumnSidecar DataColumnsByRootIdentifier DataColumnSidecarsByRangeRequest BeaconBlocksByHeadRequest
  ForkData ENRForkID Status Metadata BeaconBlocksByRangeRequest Ping Goodbye`.split(/\s+/)
const seen = new Set()
for (const fork of forks) {
  for (const name of names) {
    const type = ssz[fork][name]
    // phase0's module lists containers that came with electra.
    if (!type || (name === 'SingleAttestation' && forks.indexOf(fork) < forks.indexOf('electra'))) continue
    // Deposits carry 33 hashes; lodestar names aliases of one type in each fork.
    const fresh = !seen.has(type)
    seen.add(type)
    if (short && (!fresh || ['BlobSidecar', 'BeaconBlock', 'BeaconBlockBody', 'ExecutionPayload'].includes(name))) continue
    for (let i = 0; i < (short ? 1 : +count); i++) line(fork, name, random(type))
    if (!short) line(fork, name, type.defaultValue())
  }
}
