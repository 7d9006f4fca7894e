/*
 * What the header is to a C compiler, line by line, to be compared with what the library is to
 * Rust. What is to be listed is written by the test, from the header's own text: LAYOUT_LIST.
 */

#include <allot.h>
#include <stdio.h>

/* The size of the fields of the struct at hand: without padding it is that of the struct. */
static size_t in_fields;

static void list_struct(const char *name, const void *begun, size_t size) {
    const unsigned char *bytes = (const unsigned char *)begun;
    size_t at;
    printf("struct %s: %lu bytes, begins as ", name, (unsigned long)size);
    for (at = 0; at < size; at++) printf("%02x", bytes[at]);
    printf("\n");
    in_fields = 0;
}

static void list_field(const char *name, const char *field, size_t offset, size_t size) {
    printf("field %s.%s: %lu bytes at %lu\n", name, field, (unsigned long)size,
           (unsigned long)offset);
    in_fields += size;
}

#define STRUCT(name, init)                                                                         \
    {                                                                                              \
        name begun = init;                                                                         \
        list_struct(#name, &begun, sizeof begun);                                                  \
    }
#define FIELD(name, field)                                                                         \
    list_field(#name, #field, offsetof(name, field), sizeof(((name *)NULL)->field));
#define END(name) printf("end %s: %lu bytes in fields\n", #name, (unsigned long)in_fields);

/* Those of eight bytes are without sign: the largest does not fit into one with. */
#define NUMBER(name)                                                                               \
    if (sizeof(name) < 8) {                                                                        \
        printf("number %s: %ld\n", #name, (long)(name));                                           \
    } else {                                                                                       \
        printf("number %s: %llu\n", #name, (unsigned long long)(name));                            \
    }
#define TEXT(name) printf("text %s: %s\n", #name, name);

int main(void) {
#include LAYOUT_LIST
    printf("slot: %lu\n", (unsigned long)ALLOT_SLOT(UINT64_C(0x123456789abcdef0)));
    return 0;
}
