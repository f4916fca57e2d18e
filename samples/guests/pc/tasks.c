/* Task switches in 32-bit code: JMP, CALL, IRET, task gates for calls, interrupts and exceptions, and what they refuse. */
#include "pc.h"

enum { LINK, ESP0, SS0, CR3 = 7, EIP, EFLAGS, EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, ES_, CS_, SS_, DS_, FS_, GS_, LDTR, MAP };
enum { OTHER = SPARE, TASK_GATE = SPARE + 8, SMALL = SPARE + 16, ABSENT = SPARE + 24, LDT = SPARE + 32, RESCUER = SPARE + 40, VECTOR = 0x60 };
enum { BUSY = 2, FREE_TSS = 0x89, MAP_BASE = 104 << 16 };

extern u32 task[26], other[26], rescuer[26];
u32 other[26], rescuer[26];
extern u8 vectors[];
static u8 other_stack[4096] __attribute__((aligned(16)));
extern volatile u32 entered, other_flags, other_cr0, other_error, other_eax, other_tr, faulting_eip, refused_error, refused_by;
extern u8 other_jump[], other_iret[], other_fault[], after_switch[], other_double[], rescue[];
int switch_to(int selector);
int call_to(int selector);

asm(".pushsection .bss\n.globl entered\nentered: .skip 4\nother_flags: .skip 4\nother_cr0: .skip 4\nother_error: .skip 4\nother_eax: .skip 4\n"
    "other_tr: .skip 4\nfaulting_eip: .skip 4\nrefused_error: .skip 4\nrefused_by: .skip 4\ntarget: .skip 8\n.popsection\n"
    ".pushsection .text.tasks, \"ax\"\n"
    "switch_to: pusha\n movl $after_switch, recover\n mov %esp, recover_sp\n mov 36(%esp), %eax\n mov %ax, target+4\n"
    " mov $0x1234567, %ebx\n ljmp *target\n"
    "after_switch: movl $0, recover\n popa\n mov trap, %eax\n ret\n"
    "call_to: pusha\n movl $after_switch, recover\n mov %esp, recover_sp\n mov 36(%esp), %eax\n mov %ax, target+4\n"
    " lcall *target\n jmp after_switch\n"
    ".macro note\n incl entered\n pushf\n pop other_flags\n mov %eax, other_eax\n mov %cr0, %eax\n mov %eax, other_cr0\n clts\n"
    " str %eax\n mov %eax, other_tr\n.endm\n"
    "other_jump: note\n ljmp $0x48, $0\n jmp other_jump\n"
    "other_iret: note\n iret\n jmp other_iret\n"
    "other_fault: pop other_error\n note\n mov task+32, %eax\n mov %eax, faulting_eip\n"
    " addl $2, task+32\n iret\n jmp other_fault\n"
    "rescue: pop refused_error\n mov rescuer, %eax\n mov %eax, refused_by\n clts\n ljmp $0x48, $0\n jmp rescue\n"
    "other_double: pop other_error\n note\n addl $2, task+32\n iret\n"
    ".popsection");

static void prepare(u8 *code, int flags)
{
    zero(other, sizeof other);
    other[EIP] = (u32)code;
    other[EFLAGS] = 2 | flags;
    other[EAX] = 0xabcdef;
    other[ESP] = other[ESP0] = (u32)(other_stack + sizeof other_stack);
    other[SS0] = other[SS_] = other[DS_] = other[ES_] = other[FS_] = other[GS_] = KERNEL_DATA;
    other[CS_] = KERNEL_CODE;
    other[MAP] = MAP_BASE;
    set_descriptor(OTHER, (u32)other, 103, FREE_TSS);
    entered = 0;
    trap.vector = -1;
}

static int busy(int selector) { return (gdt[selector / 8] >> 41 & 1) != 0; }

static int current(void)
{
    u32 selector;
    asm volatile("str %0" : "=r"(selector));
    return selector;
}

static void jumps(void)
{
    prepare(other_jump, CF);
    expect("JMP to a task and back", switch_to(OTHER), -1);
    expect("it ran", entered, 1);
    expect("with its registers", other_eax, 0xabcdef);
    expect("and its flags", other_flags & (CF | NT), CF);
    expect("and its TR", other_tr, OTHER);
    expect("TS is set", other_cr0 & 8, 8);
    expect("the old task's registers were saved", task[EBX], 0x1234567);
    expect("and its EIP", task[EIP], (u32)after_switch);
    expect("only the running task is busy", busy(OTHER) << 1 | busy(TASK), 1);
    expect("TR is back", current(), TASK);
    expect("no link", other[LINK], 0);
    asm volatile("clts");
    expect("again", switch_to(OTHER), -1);
    expect("it went on where it was", entered, 2);
}

static void calls(void)
{
    prepare(other_iret, 0);
    expect("CALL to a task, and IRET", call_to(OTHER), -1);
    expect("it ran", entered, 1);
    expect("with NT", other_flags & NT, NT);
    expect("and a link", other[LINK] & 0xffff, TASK);
    expect("afterwards only the caller is busy", busy(OTHER) << 1 | busy(TASK), 1);
    expect("IRET clears NT in what it saves", other[EFLAGS] & NT, 0);
    expect("NT here", flags() & NT, 0);
    gdt[TASK_GATE / 8] = (u64)OTHER << 16 | 0x85ull << 40;
    expect("CALL through a task gate", call_to(TASK_GATE), -1);
    expect("it ran", entered, 2);
    set_gate(VECTOR, 0, OTHER, 0x85);
    expect("INT through a task gate", TRY("int $0x60", : : : "memory"), -1);
    expect("it ran", entered, 3);
    set_gate(VECTOR, (word)(vectors + 16 * VECTOR), KERNEL_CODE, 0x8e);
}

static void exceptions(void)
{
    /* The task that handles #GP moves the faulting task's EIP over its MOV, which is two bytes. */
    prepare(other_fault, 0);
    set_gate(GP, 0, OTHER, 0x85);
    u32 at;
    asm volatile("movl $1f, %0; mov $0x1230, %%eax; 1: mov %%eax, %%fs" : "=m"(at) : : "eax", "memory");
    expect("#GP through a task gate", entered, 1);
    expect("pushes its error code there", other_error, 0x1230);
    expect("and saves the instruction's EIP", faulting_eip, at);
    expect("back in the first task", current(), TASK);
    asm volatile("clts; movl $1f, %0; mov $0x1240, %%eax; 1: mov %%eax, %%fs" : "=m"(at) : : "eax", "memory");
    expect("a second time", entered, 2);
    expect("its error code", other_error, 0x1240);
    asm volatile("clts");
    set_gate(GP, (word)(vectors + 16 * GP), KERNEL_CODE, 0x8e);

    prepare(other_iret, 0);
    set_gate(DF, 0, OTHER, 0x85);
    other[EIP] = (u32)other_double;
    set_gate(UD, 0, 0, 0);
    set_gate(GP, 0, 0, 0);
    asm volatile("ud2" : : : "memory");
    expect("#DF through a task gate", entered, 1);
    expect("its error code", other_error, 0);
    asm volatile("clts");
    set_gate(UD, (word)(vectors + 16 * UD), KERNEL_CODE, 0x8e);
    set_gate(GP, (word)(vectors + 16 * GP), KERNEL_CODE, 0x8e);
    set_gate(DF, (word)(vectors + 16 * DF), KERNEL_CODE, 0x8e);
}

/* Prepares the task that takes #TS and #NP; the task that could not begin is its link, and it jumps back to the first. */
static void prepare_rescue(int vector)
{
    prepare(other_jump, 0);
    copy(rescuer, other, sizeof rescuer);
    rescuer[EIP] = (u32)rescue;
    rescuer[ESP] -= 2048;
    set_descriptor(RESCUER, (u32)rescuer, 103, FREE_TSS);
    set_gate(vector, 0, RESCUER, 0x85);
    refused_error = refused_by = 0xffffffff;
}

/* Switches to the other task, which cannot begin; gives the error code. */
static u32 refused(int vector)
{
    int got = switch_to(OTHER);
    set_gate(vector, (word)(vectors + 16 * vector), KERNEL_CODE, 0x8e);
    asm volatile("clts");
    if (got != -1 || entered || (refused_by & 0xffff) != OTHER)
        print("exception %d, entered %u, link %x\n", got, entered, refused_by);
    return refused_error;
}

static void refusals(void)
{
    prepare(other_jump, 0);
    expect("#GP for the busy task", switch_to(TASK), GP);
    expect("its error code", trap.error, TASK);
    set_descriptor(ABSENT, (u32)other, 103, 0x09);
    expect("#NP for one that is not present", switch_to(ABSENT), NP);
    expect("its error code", trap.error, ABSENT);
    set_descriptor(SMALL, (u32)other, 102, FREE_TSS);
    expect("#TS for one that is too small", switch_to(SMALL), TS);
    expect("its error code", trap.error, SMALL);
    expect("nothing was switched", current(), TASK);

    prepare_rescue(TS);
    other[SS_] = 0;
    expect("#TS in the new task for a null SS", refused(TS), 0);
    prepare_rescue(TS);
    other[CS_] = KERNEL_DATA;
    expect("#TS for a CS that is data", refused(TS), KERNEL_DATA);
    prepare_rescue(TS);
    other[DS_] = 0x1230;
    expect("#TS for a DS beyond the GDT", refused(TS), 0x1230);
    prepare_rescue(TS);
    set_descriptor(LDT, 0, 0xfff, 0x02);
    other[LDTR] = LDT;
    expect("#TS for an LDT that is not present", refused(TS), LDT);
    prepare_rescue(NP);
    set_descriptor(LDT, 0, 0xfffff, 0xc013);
    other[GS_] = LDT;
    expect("#NP for a GS that is not present", refused(NP), LDT);
    expect("the first task is back", current(), TASK);
    task[LINK] = KERNEL_DATA;
    expect("#TS for IRET with NT and a link to data", TRY("pushf; orl $0x4000, (%%esp); popf; iret", : : : "memory"), TS);
    expect("its error code", trap.error, KERNEL_DATA);
    asm volatile("pushf; andl $~0x4000, (%%esp); popf" : : : "memory");
    task[LINK] = 0;
}

int main(void)
{
    jumps();
    calls();
    exceptions();
    refusals();
    return 0;
}
