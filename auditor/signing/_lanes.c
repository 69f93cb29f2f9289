/* SHA-256 of two streams at once, by the processor's own instructions.

   One stream leaves most of the unit idle: each round waits for the one before. Two streams whose
   rounds take turns in one loop fill it. The steps are those of FIPS 180-4, 6.2; the instructions
   keep a state as the words (a, b, e, f) and (c, d, g, h).

   To import this fails where the processor lacks the instructions; callers then use hashlib. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 64, LENGTH = 8, DIGEST = 32 };

typedef struct {
    uint32_t abef[4], cdgh[4];
    uint64_t taken;      /* bytes of the whole stream */
    uint8_t rest[BLOCK]; /* its last taken % BLOCK bytes, which fill no block yet */
} Lane;

typedef struct {
    PyObject_HEAD
    int busy; /* a thread hashes in this lane; read and written under the interpreter's lock */
    Lane lane;
} Hasher;

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

#define ON_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define EACH _Pragma("GCC unroll 2") for (int l = 0; l < count; l++)
#define LOAD(from) _mm_loadu_si128((const __m128i *)(from))
#define STORE(to, words) _mm_storeu_si128((__m128i *)(to), words)

/* Hash so many blocks in each lane. Inlined with a constant count, so that both are unrolled. */
ON_SHA static inline __attribute__((always_inline)) void
rounds(int count, Lane *const *lanes, const uint8_t *const *data, size_t blocks)
{
    const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef[2], cdgh[2];
    EACH { abef[l] = LOAD(lanes[l]->abef); cdgh[l] = LOAD(lanes[l]->cdgh); }
    for (size_t block = 0; block < blocks; block++) {
        __m128i w[2][4], abef_before[2], cdgh_before[2];
        EACH { abef_before[l] = abef[l]; cdgh_before[l] = cdgh[l]; }
#pragma GCC unroll 16
        for (int four = 0; four < 16; four++) { /* rounds at a time */
            const __m128i constants = LOAD(K + 4 * four);
            EACH {
                __m128i *now = &w[l][four & 3];
                if (four < 4) {
                    *now = _mm_shuffle_epi8(LOAD(data[l] + BLOCK * block + 16 * four), order);
                } else {
                    const __m128i next = w[l][(four + 1) & 3], last = w[l][(four + 3) & 3];
                    const __m128i seven_ago = _mm_alignr_epi8(last, w[l][(four + 2) & 3], 4);
                    const __m128i sum = _mm_sha256msg1_epu32(*now, next);
                    *now = _mm_sha256msg2_epu32(_mm_add_epi32(sum, seven_ago), last);
                }
                const __m128i words = _mm_add_epi32(*now, constants);
                cdgh[l] = _mm_sha256rnds2_epu32(cdgh[l], abef[l], words);
                abef[l] = _mm_sha256rnds2_epu32(abef[l], cdgh[l], _mm_shuffle_epi32(words, 0x0e));
            }
        }
        EACH {
            abef[l] = _mm_add_epi32(abef[l], abef_before[l]);
            cdgh[l] = _mm_add_epi32(cdgh[l], cdgh_before[l]);
        }
    }
    EACH { STORE(lanes[l]->abef, abef[l]); STORE(lanes[l]->cdgh, cdgh[l]); }
}

ON_SHA static __attribute__((noinline)) void
one_lane(Lane *lane, const uint8_t *data, size_t blocks)
{
    rounds(1, &lane, &data, blocks);
}

ON_SHA static __attribute__((noinline)) void
two_lanes(Lane *const lanes[2], const uint8_t *const data[2], size_t blocks)
{
    rounds(2, lanes, data, blocks);
}

static void
begin(Lane *lane)
{
    *lane = (Lane){
        .abef = {0x9b05688c, 0x510e527f, 0xbb67ae85, 0x6a09e667}, /* f, e, b, a */
        .cdgh = {0x5be0cd19, 0x1f83d9ab, 0xa54ff53a, 0x3c6ef372}, /* h, g, d, c */
    };
}

/* Take bytes until the lane stands at a block's end or they are used up; return how many. */
static size_t
fill(Lane *lane, const uint8_t *data, size_t size)
{
    const size_t held = lane->taken % BLOCK;
    if (!held || !size)
        return 0;
    const size_t wanted = BLOCK - held, count = size < wanted ? size : wanted;
    memcpy(lane->rest + held, data, count);
    lane->taken += count;
    if (count == wanted)
        one_lane(lane, lane->rest, 1);
    return count;
}

/* Take all bytes, in this lane alone. */
static void
take(Lane *lane, const uint8_t *data, size_t size)
{
    const size_t filled = fill(lane, data, size), left = size - filled, whole = left / BLOCK * BLOCK;
    if (!left) /* no bytes may come without an address */
        return;
    one_lane(lane, data + filled, left / BLOCK);
    memcpy(lane->rest, data + filled + whole, left % BLOCK);
    lane->taken += left;
}

/* Take all bytes, in both lanes for as long as both have some. */
static void
take_both(Lane *const lanes[2], const uint8_t *const data[2], const size_t sizes[2])
{
    const uint8_t *from[2];
    size_t left[2], blocks = 0;
    for (int l = 0; l < 2; l++) {
        const size_t filled = fill(lanes[l], data[l], sizes[l]);
        left[l] = sizes[l] - filled;
        from[l] = left[l] ? data[l] + filled : NULL;
    }
    if (left[0] && left[1]) {
        blocks = (left[0] < left[1] ? left[0] : left[1]) / BLOCK;
        two_lanes(lanes, from, blocks);
    }
    for (int l = 0; l < 2; l++) {
        lanes[l]->taken += BLOCK * blocks;
        if (left[l])
            take(lanes[l], from[l] + BLOCK * blocks, left[l] - BLOCK * blocks);
    }
}

/* Write the digest of what a lane took, which it leaves as it is. */
static void
finish(const Lane *lane, uint8_t digest[DIGEST])
{
    static const uint8_t padding[BLOCK] = {0x80};
    Lane copy = *lane;
    uint8_t length[LENGTH];
    for (int byte = 0; byte < LENGTH; byte++)
        length[byte] = (uint8_t)(lane->taken * 8 >> (56 - 8 * byte));
    take(&copy, padding, 1 + (2 * BLOCK - LENGTH - 1 - lane->taken % BLOCK) % BLOCK);
    take(&copy, length, LENGTH);
    const uint32_t words[8] = {copy.abef[3], copy.abef[2], copy.cdgh[3], copy.cdgh[2],
                               copy.abef[1], copy.abef[0], copy.cdgh[1], copy.cdgh[0]};
    for (int byte = 0; byte < DIGEST; byte++)
        digest[byte] = (uint8_t)(words[byte / 4] >> (24 - 8 * (byte % 4)));
}

/* -- Python's side ------------------------------------------------------------------------- */

static int
claim(Hasher *hasher)
{
    if (hasher->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a hasher takes bytes of one caller at a time");
        return 0;
    }
    hasher->busy = 1;
    return 1;
}

static PyObject *
hasher_new(PyTypeObject *type, PyObject *args, PyObject *words)
{
    if (PyTuple_Size(args) || (words && PyDict_Size(words))) {
        PyErr_SetString(PyExc_TypeError, "Sha256() takes no arguments");
        return NULL;
    }
    PyObject *made = PyType_GenericAlloc(type, 0);
    if (made)
        begin(&((Hasher *)made)->lane);
    return made;
}

static PyObject *
hasher_update(PyObject *self, PyObject *data)
{
    Hasher *hasher = (Hasher *)self;
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE))
        return NULL;
    const int free = claim(hasher);
    if (free) {
        Py_BEGIN_ALLOW_THREADS
        take(&hasher->lane, view.buf, (size_t)view.len);
        Py_END_ALLOW_THREADS
        hasher->busy = 0;
    }
    PyBuffer_Release(&view);
    return free ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
hasher_hexdigest(PyObject *self, PyObject *Py_UNUSED(none))
{
    static const char digits[] = "0123456789abcdef";
    Hasher *hasher = (Hasher *)self;
    uint8_t digest[DIGEST];
    char text[2 * DIGEST];
    if (!claim(hasher))
        return NULL;
    finish(&hasher->lane, digest);
    hasher->busy = 0;
    for (int byte = 0; byte < DIGEST; byte++) {
        text[2 * byte] = digits[digest[byte] >> 4];
        text[2 * byte + 1] = digits[digest[byte] & 15];
    }
    return PyUnicode_FromStringAndSize(text, sizeof text);
}

static PyMethodDef hasher_methods[] = {
    {"update", hasher_update, METH_O, "Take more bytes."},
    {"hexdigest", hasher_hexdigest, METH_NOARGS, "Return the digest of all bytes taken."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot hasher_slots[] = {
    {Py_tp_new, hasher_new},
    {Py_tp_methods, hasher_methods},
    {Py_tp_doc, "SHA-256 of one stream."},
    {0, NULL},
};

static PyType_Spec hasher_spec = {
    .name = "auditor.signing._lanes.Sha256",
    .basicsize = sizeof(Hasher),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = hasher_slots,
};

static PyObject *
update_both(PyObject *module, PyObject *args)
{
    PyObject *type = *(PyObject **)PyModule_GetState(module);
    Hasher *hashers[2];
    Py_buffer views[2];
    if (!PyArg_ParseTuple(args, "O!y*O!y*:update_both", type, &hashers[0], &views[0], type,
                          &hashers[1], &views[1]))
        return NULL;
    const int first = claim(hashers[0]), both = first && claim(hashers[1]);
    if (both) {
        Lane *const lanes[2] = {&hashers[0]->lane, &hashers[1]->lane};
        const uint8_t *const data[2] = {views[0].buf, views[1].buf};
        const size_t sizes[2] = {(size_t)views[0].len, (size_t)views[1].len};
        Py_BEGIN_ALLOW_THREADS
        take_both(lanes, data, sizes);
        Py_END_ALLOW_THREADS
        hashers[1]->busy = 0;
    }
    if (first)
        hashers[0]->busy = 0;
    PyBuffer_Release(&views[0]);
    PyBuffer_Release(&views[1]);
    return both ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef methods[] = {
    {"update_both", update_both, METH_VARARGS, "Take more bytes in two hashers at once."},
    {NULL, NULL, 0, NULL},
};

/* Whether the processor has the SHA, SSSE3 and SSE4.1 instructions. */
static int
able(void)
{
    unsigned a, b, c, d, more_b;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSSE3) && (c & bit_SSE4_1) &&
           __get_cpuid_count(7, 0, &a, &more_b, &c, &d) && (more_b & bit_SHA);
}

static int
start(PyObject *module)
{
    PyObject **type = PyModule_GetState(module);
    if (!able()) {
        PyErr_SetString(PyExc_ImportError, "this processor has no instructions for SHA-256");
        return -1;
    }
    *type = PyType_FromSpec(&hasher_spec);
    return *type ? PyModule_AddObjectRef(module, "Sha256", *type) : -1;
}

static int
visit_state(PyObject *module, visitproc visit, void *arg)
{
    PyObject **type = PyModule_GetState(module);
    if (type)
        Py_VISIT(*type);
    return 0;
}

static int
clear_state(PyObject *module)
{
    PyObject **type = PyModule_GetState(module);
    if (type)
        Py_CLEAR(*type);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, start},
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_lanes",
    .m_doc = "SHA-256 of two streams at once, by the processor's own instructions.",
    .m_size = sizeof(PyObject *),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = visit_state,
    .m_clear = clear_state,
};

PyMODINIT_FUNC
PyInit__lanes(void)
{
    return PyModuleDef_Init(&module);
}
