/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd_look.c - the footer of a VHD image, wherever it is, and what it says.
 */
#include "backend/block/vhd.h"

#include <string.h>

uint32_t vhd_checksum(const void *p, size_t n, size_t field)
{
	const uint8_t *b = p;
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		if (i < field || i >= field + 4)
			sum += b[i];
	return ~sum;
}

static bool is_footer(const struct vhd_footer *f)
{
	return memcmp(f->cookie, "conectix", 8) == 0 &&
	       be32_get(f->checksum) ==
		       vhd_checksum(f, sizeof(*f), offsetof(struct vhd_footer, checksum));
}

/*
 * Is there a footer in the last 512 bytes of a file, or in the last 511, as programs before 2004 wrote
 * it (and what was cut by a byte has it)? Then @f becomes the footer, with a zero for the byte that is
 * missing.
 */
static enum vhd_place find_in_tail(struct vhd_footer *f)
{
	struct vhd_footer cut = { .cookie = { 0 } };

	if (is_footer(f))
		return VHD_AT_END;
	memcpy(&cut, (const uint8_t *)f + 1, sizeof(cut) - 1);
	if (!is_footer(&cut))
		return VHD_NOWHERE;
	*f = cut;
	return VHD_CUT;
}

bool vhd_is_copy(const struct vhd_footer *f)
{
	return is_footer(f) && be32_get(f->type) != VHD_FIXED;
}

int vhd_read_footer(int fd, uint64_t size, struct vhd_footer *ret, enum vhd_place *ret_place)
{
	int err = vhdio_read(fd, ret, sizeof(*ret), size - VHD_FOOTER);

	if (err != 0)
		return err;
	*ret_place = find_in_tail(ret);
	if (*ret_place == VHD_AT_END || (*ret_place == VHD_CUT && (size + 1) % VHD_SECTOR == 0))
		return 0;
	err = vhdio_read(fd, ret, sizeof(*ret), 0);
	*ret_place = err == 0 && vhd_is_copy(ret) ? VHD_COPY : VHD_NOWHERE;
	return err;
}

unsigned vhd_is(const struct blk_look *l)
{
	struct vhd_footer f[2];

	memcpy(&f[0], l->front, sizeof(f[0]));
	memcpy(&f[1], l->tail, sizeof(f[1]));
	return is_footer(&f[0]) || find_in_tail(&f[1]) != VHD_NOWHERE;
}

/* What the disk's size says must be in the file. */
static int check_use(const struct blk_look *l, const struct vhd_footer *f, bool is_cut,
		     struct sill_err *e)
{
	const uint64_t size = be64_get(f->current_size);

	if (size < VHD_SECTOR || size > INT64_MAX || size % VHD_SECTOR != 0)
		return blk_look_bad(l, "its size is not a multiple of 512", e);
	switch (be32_get(f->type)) {
	case VHD_FIXED:
		if (size > l->size - VHD_FOOTER + is_cut)
			return blk_look_bad(l, "the file is shorter than the disk: it was cut off",
					    e);
		return 0;
	case VHD_DYNAMIC:
		return 0;
	case VHD_DIFFERENCING:
		(void)blk_look_bad(l, "it is a differencing disk, which is not supported", e);
		return sill_err_hint(e, "merge it with its parent, or convert the chain to qcow2");
	default:
		return blk_look_bad(l, "its footer has an unknown disk type", e);
	}
}

/* The second header, by what @f says. False: there is none, or it cannot be read. */
static bool leads_to_header(const struct blk_look *l, const struct vhd_footer *f,
			    struct vhd_header *ret)
{
	const uint64_t at = be64_get(f->data_offset);

	return at <= l->size && l->size - at >= sizeof(*ret) &&
	       vhdio_read(l->fd, ret, sizeof(*ret), at) == 0 &&
	       memcmp(ret->cookie, "cxsparse", 8) == 0;
}

/* As the image is opened: a footer that leads nowhere has a copy, which may lead to the disk. */
static bool find_header(const struct blk_look *l, struct vhd_footer *f, struct vhd_header *ret)
{
	struct vhd_footer copy;

	if (leads_to_header(l, f, ret))
		return true;
	memcpy(&copy, l->front, sizeof(copy));
	if (be32_get(f->type) != VHD_DYNAMIC || !vhd_is_copy(&copy) ||
	    !leads_to_header(l, &copy, ret))
		return false;
	*f = copy;
	return true;
}

int vhd_look(const struct blk_look *l, struct sill_image_info *ret, struct sill_err *e)
{
	enum vhd_place place = VHD_NOWHERE;
	struct vhd_footer f;
	struct vhd_header h;
	int err = l->size >= VHD_FOOTER ? vhd_read_footer(l->fd, l->size, &f, &place) : 0;

	if (err != 0)
		return sill_err_sys(e, err, "footer of '%.150s'", l->path);
	if (place == VHD_NOWHERE)
		return blk_look_is_none(l, "there is no footer at its end", e);
	ret->size = be64_get(f.current_size);
	ret->fixed = be32_get(f.type) == VHD_FIXED;
	ret->differencing = be32_get(f.type) == VHD_DIFFERENCING;
	if (l->to_use)
		return check_use(l, &f, place == VHD_CUT, e);
	if (ret->fixed)
		return 0;
	if (!find_header(l, &f, &h))
		return blk_look_bad(l, "its second header is damaged", e);
	ret->size = be64_get(f.current_size);
	ret->block_size = be32_get(h.block_size);
	return 0;
}
