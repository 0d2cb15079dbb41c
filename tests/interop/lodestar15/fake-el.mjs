// A pretend execution client for run-lodestar.mjs: the engine API over HTTP, without keccak or an
// EVM. Every payload whose parent is known is VALID.
// Import startFakeEl(...) or: node fake-el.mjs PORT GENESIS_HASH CAPELLA_TIME TX_BYTES
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'

const quantity = n => '0x' + n.toString(16)
const valid = hash => ({ status: 'VALID', latestValidHash: hash, validationError: null })
const syncing = () => ({ status: 'SYNCING', latestValidHash: null, validationError: null })

// `size` bytes of transactions, at most 20,000 each.
function makeTransactions (size) {
  const transactions = []
  for (let left = size; left > 0; left -= 20000) {
    const bytes = randomBytes(Math.min(left, 20000))
    bytes[0] = 2
    transactions.push('0x' + bytes.toString('hex'))
  }
  return transactions
}

export function startFakeEl ({ port, genesisHash, capellaTime = Infinity, txBytes = 2000 }) {
  const known = new Map([[genesisHash, { number: 0 }]])
  const building = new Map()
  let id = 0
  let newPayloads = 0

  const newPayload = payload => {
    newPayloads++
    if (!known.has(payload.parentHash)) return syncing()
    known.set(payload.blockHash, { number: Number(payload.blockNumber) })
    return valid(payload.blockHash)
  }

  const forkchoiceUpdated = (state, attributes) => {
    if (!known.has(state.headBlockHash)) return { payloadStatus: syncing(), payloadId: null }
    if (!attributes) return { payloadStatus: valid(state.headBlockHash), payloadId: null }
    const payloadId = '0x' + (++id).toString(16).padStart(16, '0')
    const payload = {
      parentHash: state.headBlockHash,
      feeRecipient: attributes.suggestedFeeRecipient,
      stateRoot: '0x' + '11'.repeat(32),
      receiptsRoot: '0x' + '22'.repeat(32),
      logsBloom: '0x' + '00'.repeat(256),
      prevRandao: attributes.prevRandao,
      blockNumber: quantity(known.get(state.headBlockHash).number + 1),
      gasLimit: quantity(30000000),
      gasUsed: quantity(15000000),
      timestamp: attributes.timestamp,
      extraData: '0x',
      baseFeePerGas: quantity(1000000000),
      transactions: makeTransactions(txBytes)
    }
    if (Number(attributes.timestamp) >= capellaTime) {
      payload.withdrawals = attributes.withdrawals ?? []
    }
    const hash = createHash('sha256').update(JSON.stringify(payload))
    payload.blockHash = '0x' + hash.digest('hex')
    building.set(payloadId, payload)
    if (building.size > 64) building.delete(building.keys().next().value)
    return { payloadStatus: valid(state.headBlockHash), payloadId }
  }

  const getPayload = payloadId => {
    const payload = building.get(payloadId)
    if (!payload) throw Object.assign(new Error('Unknown payload'), { code: -38001 })
    return payload
  }

  const methods = {
    engine_exchangeTransitionConfigurationV1: configuration => configuration,
    engine_newPayloadV1: newPayload,
    engine_newPayloadV2: newPayload,
    engine_forkchoiceUpdatedV1: forkchoiceUpdated,
    engine_forkchoiceUpdatedV2: forkchoiceUpdated,
    engine_getPayloadV1: getPayload,
    engine_getPayloadV2: payloadId => ({
      executionPayload: getPayload(payloadId),
      blockValue: '0x1'
    }),
    eth_syncing: () => false,
    eth_chainId: () => '0x1'
  }

  const answer = body => {
    let message = {}
    let out
    try {
      message = JSON.parse(body)
      const method = methods[message.method]
      out = method
        ? { result: method(...message.params) }
        : { error: { code: -32601, message: 'no ' + message.method } }
    } catch (e) {
      out = { error: { code: e.code ?? -32000, message: e.message } }
    }
    return JSON.stringify({ jsonrpc: '2.0', id: message.id, ...out })
  }

  const server = createServer((request, response) => {
    let body = ''
    request.on('data', data => { body += data })
    request.on('end', () => {
      response.setHeader('content-type', 'application/json')
      response.end(answer(body))
    })
  })
  return new Promise(resolve => server.listen(port, '127.0.0.1', () => resolve({
    url: `http://127.0.0.1:${server.address().port}`,
    stats: () => ({ known: known.size, newPayloads }),
    close: () => server.close()
  })))
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [port, genesisHash, capellaTime, txBytes] = process.argv.slice(2)
  const { url } = await startFakeEl({
    port: Number(port),
    genesisHash,
    capellaTime: capellaTime === undefined ? Infinity : Number(capellaTime),
    txBytes: Number(txBytes ?? 2000)
  })
  console.log(url)
}
