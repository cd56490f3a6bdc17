package spawn

const sysExecveat = 322
