// Gate and up projection of many tokens, with act(gate) * up worked out before anything is written.
//
// out[t, j] = act(x[t] . gate[j]) * (x[t] . up[j]), for 16-bit x [tokens, inputs] and weight [2, width, inputs].
//
// Compiled at run time with these names defined:
//   BITS16, PACK, UNPACK   the 16-bit type, and how two floats become two of them and back
//   MMA(...)               one wgmma of 64 x COLUMNS x 16 into COLUMNS / 2 registers
//   GELU                   1 for the tanh approximation of gelu, else SiLU
//   COLUMNS, STAGES, GROUP, INPUT_TILE 64, TOKEN_TILE 128
//
// Pairs of neighbouring blocks form a cluster that shares weight tiles: each loads half of one, and the tensor memory
// accelerator writes it to both. Of a block's three warpgroups the first fetches tiles; the other two each own every
// second output tile and take turns, one multiplying while the other works out its activation and writes it.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;

struct alignas(64) TensorMap { u64 words[16]; };

constexpr int HALF = COLUMNS / 2;
constexpr u32 X_BYTES = TOKEN_TILE * INPUT_TILE * 2;
constexpr u32 HALF_BYTES = HALF * INPUT_TILE * 2;
constexpr u32 STAGE_BYTES = X_BYTES + 2 * HALF_BYTES;
constexpr u32 OUT_ROW = HALF * 2;
constexpr int STEPS = INPUT_TILE / 16;

__device__ __forceinline__ u32 shared_address(const void* p) {
  return static_cast<u32>(__cvta_generic_to_shared(p));
}
__device__ __forceinline__ void barrier_init(u32 bar, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count));
}
__device__ __forceinline__ void barrier_wait(u32 bar, u32 parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra gone;\nbra again;\ngone:\n}\n" ::"r"(bar), "r"(parity) : "memory");
}
__device__ __forceinline__ void barrier_arrive(u32 bar) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
}
__device__ __forceinline__ void barrier_expect(u32 bar, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes) : "memory");
}
// Arrives at the barrier that lies at the same place in the cluster's block `rank`.
__device__ __forceinline__ void barrier_arrive_at(u32 bar, u32 rank) {
  asm volatile(
      "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}\n" ::"r"(bar), "r"(rank) : "memory");
}
__device__ __forceinline__ void cluster_sync() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
__device__ __forceinline__ void load_x(u32 to, const TensorMap* map, u32 bar, int input, int token) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(
          to), "l"(map), "r"(bar), "r"(input), "r"(token) : "memory");
}
__device__ __forceinline__ void load_weight(u32 to, const TensorMap* map, u32 bar, int input, int column, int half) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster"
      " [%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(to), "l"(map), "r"(bar), "r"(input), "r"(column), "r"(half),
      "h"(static_cast<u16>(3)) : "memory");
}
// What is written is larger than the second-level cache, which is better kept for what is read again.
__device__ __forceinline__ void store_out(const TensorMap* map, u32 from, int column, int token) {
  u64 policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group.L2::cache_hint [%0, {%2, %3}], [%1], %4;" ::"l"(map),
      "r"(from), "r"(column), "r"(token), "l"(policy) : "memory");
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
// A matrix of rows of 128 swizzled bytes, its rows in groups of eight.
__device__ __forceinline__ u64 matrix(u32 address) {
  return (static_cast<u64>((address & 0x3FFFF) >> 4)) | (static_cast<u64>(1) << 16) | (static_cast<u64>(64) << 32) |
         (static_cast<u64>(1) << 62);
}

struct Place { int token, column; };

// The pair of token tiles and the columns of tile number `tile`: groups of token tiles, each through all columns.
__device__ __forceinline__ Place place_of(int tile, int pairs, int columns) {
  const int first = tile / (GROUP * columns) * GROUP;
  const int height = min(pairs - first, GROUP);
  const int within = tile % (GROUP * columns);
  return {(first + within % height) * 2 * TOKEN_TILE, within / height * HALF};
}

__device__ __forceinline__ float activated(float gate) {
#if GELU
  // 0.5 (1 + tanh(u)) is sigmoid(2 u), with u = sqrt(2 / pi) (g + 0.044715 g^3).
  const float u = 1.5957691216057308f * (gate + 0.044715f * gate * gate * gate);
#else
  const float u = gate;
#endif
  return __fdividef(gate, 1.0f + __expf(-u));
}
__device__ __forceinline__ u32 packed(float low, float high) {
  u32 out;
  asm(PACK " %0, %2, %1;" : "=r"(out) : "f"(low), "f"(high));
  return out;
}
__device__ __forceinline__ float unpacked(u32 pair, bool high) {
  const u16 bits = high ? static_cast<u16>(pair >> 16) : static_cast<u16>(pair);
  float out;
  UNPACK(out, bits);
  return out;
}
// act(gate) * up of two neighbours; gate, up and the activation are rounded, as separate operations would.
__device__ __forceinline__ u32 gated(float gate0, float gate1, float up0, float up1) {
  const u32 gate = packed(gate0, gate1), up = packed(up0, up1);
  const u32 act = packed(activated(unpacked(gate, false)), activated(unpacked(gate, true)));
  return packed(unpacked(act, false) * unpacked(up, false), unpacked(act, true) * unpacked(up, true));
}

__device__ __forceinline__ void produce(
    char* memory, u32 full, u32 empty, const TensorMap* x, const TensorMap* weight, u32 rank, int tiles, int pairs,
    int columns, int inputs) {
  int at = 0;
  u32 parity = 1;  // the first round finds every stage empty
  const int clusters = gridDim.x / 2;
  for (int tile = blockIdx.x / 2; tile < tiles; tile += clusters) {
    const Place place = place_of(tile, pairs, columns);
#pragma unroll 1
    for (int input = 0; input < inputs; input += INPUT_TILE) {
      const u32 bar = full + 8 * at, stage = shared_address(memory) + at * STAGE_BYTES;
      barrier_wait(empty + 8 * at, parity);
      barrier_expect(bar, STAGE_BYTES);
      load_x(stage, x, bar, input, place.token + rank * TOKEN_TILE);
      load_weight(stage + X_BYTES + rank * HALF_BYTES, weight, bar, input, place.column, rank);
      if (++at == STAGES) {
        at = 0;
        parity ^= 1;
      }
    }
  }
}

// Multiplies tile `number` of this cluster when it is the group's turn. Hands back all stages but the last, whose
// product is still under way, and returns that one's number.
__device__ __forceinline__ u32 multiply_tile(
    float (&sums)[2][HALF], u32 base, u32 full, u32 turn, u32 parity_of_turn, int number, int steps, int lane) {
  const u32 empty = full + 8 * STAGES;
  // Stages are used in the order of tiles, by both groups.
  u32 at = static_cast<u32>(static_cast<u64>(number) * steps % STAGES);
  u32 parity = static_cast<u32>(static_cast<u64>(number) * steps / STAGES) & 1;
  barrier_wait(turn, parity_of_turn);
  u32 last = 0;
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    const u32 stage = base + at * STAGE_BYTES;
    barrier_wait(full + 8 * at, parity);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int k = 0; k < STEPS; ++k) {
      const u64 w = matrix(stage + X_BYTES + 32 * k);
      const int add = step || k;
      MMA(sums[0], matrix(stage + 32 * k), w, add);
      MMA(sums[1], matrix(stage + 64 * 2 * INPUT_TILE + 32 * k), w, add);
    }
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
    if (step && lane < 2) barrier_arrive_at(empty + 8 * last, lane);
    last = at;
    if (++at == STAGES) {
      at = 0;
      parity ^= 1;
    }
  }
  return last;
}

// Waits for all products; the sums are read after this and not before.
__device__ __forceinline__ void finish(float (&sums)[2][HALF]) {
#pragma unroll
  for (int i = 0; i < HALF; ++i) asm volatile("" : "+f"(sums[0][i]), "+f"(sums[1][i])::"memory");
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
  for (int i = 0; i < HALF; ++i) asm volatile("" : "+f"(sums[0][i]), "+f"(sums[1][i])::"memory");
}

// act(gate) * up of a tile's sums, as 16-bit rows of OUT_ROW bytes. A thread holds gate and up of the same columns.
__device__ __forceinline__ void write_tile(const float (&sums)[2][HALF], u32 staging, int lane) {
  const int warp = lane / 32, thread = lane % 32;
#pragma unroll
  for (int m = 0; m < 2; ++m) {
    const u32 row = staging + (m * 64 + warp * 16 + thread % 16) * OUT_ROW + (thread / 16) * 16;
#pragma unroll
    for (int i = 0; i < HALF / 8; i += 2) {
      u32 r[4];
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        if (i + j < HALF / 8) {
          const float *g = sums[m] + 4 * (i + j), *u = g + HALF / 2;
          r[2 * j] = gated(g[0], g[1], u[0], u[1]);
          r[2 * j + 1] = gated(g[2], g[3], u[2], u[3]);
        }
      }
      if (i + 1 < HALF / 8) {
        asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row + 16 * i),
                     "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]) : "memory");
      } else {
        asm volatile("stmatrix.sync.aligned.m8n8.x2.shared.b16 [%0], {%1, %2};" ::"r"(row + 16 * i), "r"(r[0]),
                     "r"(r[1]) : "memory");
      }
    }
  }
}

extern "C" __global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(384, 1) gated_linear(
    const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap weight,
    const __grid_constant__ TensorMap out, int tokens, int width, int inputs) {
  extern __shared__ __align__(1024) char memory[];
  __shared__ __align__(8) u64 barriers[2 * STAGES + 3];
  const u32 full = shared_address(barriers), empty = full + 8 * STAGES, turns = empty + 8 * STAGES;
  const u32 drained = turns + 16;  // the staging area has been read out
  const int group = threadIdx.x / 128, lane = threadIdx.x % 128;
  u32 rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  const int pairs = (tokens + 2 * TOKEN_TILE - 1) / (2 * TOKEN_TILE), columns = (width + HALF - 1) / HALF;
  const int tiles = pairs * columns, clusters = gridDim.x / 2;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < STAGES; ++stage) {
      barrier_init(full + 8 * stage, 1);
      barrier_init(empty + 8 * stage, 2);  // the group that used it, of both blocks
    }
    barrier_init(turns, 128);
    barrier_init(turns + 8, 128);
    barrier_init(drained, 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  cluster_sync();
  if (group == 0) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x == 0) produce(memory, full, empty, &x, &weight, rank, tiles, pairs, columns, inputs);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    const int own = group - 1, steps = inputs / INPUT_TILE;
    const u32 base = shared_address(memory), staging = base + STAGES * STAGE_BYTES;
    if (own == 1) barrier_arrive(turns);  // the first group begins
    u32 turn = 0;
    for (int tile = blockIdx.x / 2 + own * clusters, number = own; tile < tiles; tile += 2 * clusters, number += 2) {
      float sums[2][HALF];
      const u32 last = multiply_tile(sums, base, full, turns + 8 * own, turn, number, steps, lane);
      turn ^= 1;
      barrier_arrive(turns + 8 * (1 - own));
      finish(sums);
      if (lane < 2) barrier_arrive_at(empty + 8 * last, lane);

      const Place place = place_of(tile, pairs, columns);
      if (number) barrier_wait(drained, (number - 1) & 1);
      write_tile(sums, staging, lane);
      asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
      asm volatile("bar.sync %0, 128;" ::"r"(1 + own) : "memory");
      if (lane == 0) {
        store_out(&out, staging, place.column, place.token + rank * TOKEN_TILE);
        asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
        barrier_arrive(drained);
      }
    }
    asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
  }
  __syncwarp();
  cluster_sync();  // nobody leaves while the other block may still write to it
}
